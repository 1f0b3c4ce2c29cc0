"""How far perturbations move the weights, and whether that tells how accurate networks become.

Source: paper A, section 5; the effective deviation is pooled over the survivors (ambiguity A-X6).
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from pipeline_lib.claims import evidence
from pipeline_lib.claims.evidence import Found, Frames, Measured
from pipeline_lib.claims.measures import _paired
from pipeline_lib.experiments import comparisons

if TYPE_CHECKING:
    import pandas as pd

_PERMUTED = comparisons.SHUFFLES | comparisons.SAME_SIGN


def _sizes(frames: Frames, task: str, change: str, k: int, level: int) -> pd.DataFrame | None:
    """Find the rows of a change of IMP's networks, all layers pooled."""
    frame = frames.get("perturbations")
    if frame is None:
        return None
    chosen = (frame["task"] == task) & (frame["kind"] == "imp") & (frame["layer"] == "all") & (frame["level"] == level)
    return frame[chosen & (frame["k"] == k) & (frame["change"] == change)]


def _average(frames: Frames, task: str, change: str, k: int, level: int, column: str, least: int) -> Found:
    rows = _sizes(frames, task, change, k, level)
    return None if rows is None else evidence.average(rows[column], least)


def _accuracy(frames: Frames, task: str, start: str, level: int, least: int) -> Found:
    found = _paired.common([_paired.accuracies(frames, task, "imp", start)], level, level, least)
    return None if found is None else _paired.over_levels(found[0])


def _points(frames: Frames, task: str, k: int, level: int, least: int) -> dict[str, tuple[float, float]] | None:
    """Give effective deviation and accuracy of each of the paper's perturbations, averaged over seeds; None if one is missing."""
    found = {}
    for change in comparisons.PAPER:
        size = _average(frames, task, change, k, level, "deviation", least)
        accuracy = _accuracy(frames, task, f"k{k} | {change}", level, least)
        if size is None or accuracy is None:
            return None
        found[change] = (size.value, accuracy.value)
    return found


def _mean_size(residuals: dict[str, float], names: Sequence[str]) -> float:
    return statistics.fmean(abs(residuals[name]) for name in names)


def deviation(frames: Frames, task: str, sparse_level: int, change: str, k: int, level: int, least: int = 3) -> Found:
    """Average the effective deviation of a change over seeds, in units of the weights."""
    return _average(frames, task, change, k, level, "deviation", least)


def deviation_ratio(
    frames: Frames, task: str, sparse_level: int, change: str, reference: str, k: int, level: int,
    take: Literal["mean", "lowest", "highest"] = "mean", least: int = 3,
) -> Found:  # fmt: skip
    """Divide the effective deviations of two changes, seed by seed: the mean over seeds, or the lowest or highest."""
    first, second = (_sizes(frames, task, each, k, level) for each in (change, reference))
    if first is None or second is None:
        return None
    ratios = first.set_index("seed")["deviation"].div(second.set_index("seed")["deviation"]).dropna()
    found = evidence.average(ratios, least)
    if found is None or take == "mean":
        return found
    return Measured(float(ratios.max() if take == "highest" else ratios.min()), None, found.num)


def largest_mean(frames: Frames, task: str, sparse_level: int, k: int, level: int, least: int = 3) -> Found:
    """Give the largest size of the mean change, over the paper's perturbations, each averaged over seeds."""
    found = [_average(frames, task, change, k, level, "mean", least) for change in comparisons.PAPER]
    known = [point for point in found if point is not None]
    if len(known) < len(found):
        return None
    largest = max(known, key=lambda point: abs(point.value))
    return Measured(abs(largest.value), largest.spread, largest.num)


def sign_changes(
    frames: Frames, task: str, sparse_level: int, step_1: int, step_2: int, scope: str = "all", level: int = 0, least: int = 3
) -> Found:
    """Average the share of weights, in percent, whose signs differ between two steps."""
    frame = frames.get("signs")
    if frame is None:
        return None
    chosen = (frame["task"] == task) & (frame["scope"] == scope) & (frame["level"] == level)
    rows = frame[chosen & (frame["step_1"] == step_1) & (frame["step_2"] == step_2)]
    return evidence.average(100 * rows["changed"], least)


def correlation(
    frames: Frames,
    task: str,
    sparse_level: int,
    statistic: Literal["r", "p", "num_perturbations"],
    k: int,
    level: int,
    least: int = 3,
) -> Found:
    """Give r, p or the number of points of the correlation of deviation and accuracy over the paper's perturbations."""
    frame = frames.get("correlations")
    if frame is None:
        return None
    chosen = (frame["task"] == task) & (frame["set"] == "paper") & (frame["k"] == k) & (frame["level"] == level)
    rows = frame[chosen & (frame["num_seeds"] >= least)]
    found = evidence.average(rows[statistic], 1)
    return None if found is None else Measured(found.value, None, int(rows["num_seeds"].min()))


def accurate_deviation(frames: Frames, task: str, sparse_level: int, k: int, level: int, best: int = 5, least: int = 3) -> Found:
    """Divide the median effective deviation of the paper's most accurate perturbations by that of the rest."""
    points = _points(frames, task, k, level, least)
    if points is None:
        return None
    ranked = [size for size, _ in sorted(points.values(), key=lambda point: -point[1])]
    return Measured(statistics.median(ranked[:best]) / statistics.median(ranked[best:]), None, len(ranked))


def mixture_residuals(frames: Frames, task: str, sparse_level: int, k: int, level: int, least: int = 3) -> Found:
    """Divide how far mixtures of signs and magnitudes lie from the line through all perturbations by how far the rest do."""
    points = _points(frames, task, k, level, least)
    if points is None or len({size for size, _ in points.values()}) == 1:
        return None
    sizes, accuracies = zip(*points.values(), strict=True)
    line = statistics.linear_regression(sizes, accuracies)
    residuals = {change: y - line.intercept - line.slope * x for change, (x, y) in points.items()}
    rest = _mean_size(residuals, [change for change in points if change not in comparisons.SIGNS])
    return Measured(_mean_size(residuals, list(comparisons.SIGNS)) / rest, None, len(points)) if rest else None


def permutation_residuals(frames: Frames, task: str, sparse_level: int, k: int, level: int, least: int = 3) -> Found:
    """Divide how far permutations lie from the curve of Gaussian noise by how far mixtures of signs and magnitudes do.

    The curve goes straight from the unperturbed network to each multiple of noise, and level beyond the last.
    """
    points, whole = _points(frames, task, k, level, least), _accuracy(frames, task, f"k{k}", level, least)
    if points is None or whole is None:
        return None
    sizes, accuracies = zip(*sorted([(0.0, whole.value), *(points[change] for change in comparisons.NOISE)]), strict=True)
    residuals = {change: y - float(np.interp(x, sizes, accuracies)) for change, (x, y) in points.items()}
    mixtures = _mean_size(residuals, list(comparisons.SIGNS))
    return Measured(_mean_size(residuals, list(_PERMUTED)) / mixtures, None, len(points)) if mixtures else None


def noise_trend(
    frames: Frames, task: str, sparse_level: int, k: int, from_level: int, to_level: int,
    sigmas: Sequence[int | float] = (0.5, 1, 2, 3), least: int = 3,
) -> Found:  # fmt: skip
    """Give Spearman's correlation of the multiple of noise with accuracy averaged over levels."""
    ladders = [_paired.accuracies(frames, task, "imp", f"k{k} | noise({sigma:g})") for sigma in sigmas]
    found = _paired.common(ladders, from_level, to_level, least)
    if found is None:
        return None
    means = [_paired.over_levels(part) for part in found]
    return evidence.spearman(list(sigmas), [point.value for point in means], means[0].num)
