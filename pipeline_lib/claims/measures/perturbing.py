"""How far perturbations move the weights, and whether that tells how accurate networks become.

Source: paper A, section 5; the effective deviation is pooled over the survivors (ambiguity A-X6).
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import numpy as np

from pipeline_lib.claims import estimates, evidence
from pipeline_lib.claims.evidence import Evidence, Missing
from pipeline_lib.claims.measures import _paired
from pipeline_lib.claims.rules import Measured
from pipeline_lib.experiments import comparisons

_PERMUTED = comparisons.SHUFFLES | comparisons.SAME_SIGN
Points = dict[str, tuple[dict[int, float], dict[int, float]]]  # size and accuracy of a change, by seed


def _sizes(ev: Evidence, change: str, k: int, level: int) -> dict[int, float]:
    """Find the size of a change of IMP's networks, all layers pooled."""
    return evidence.by_seed(ev.rows("perturbations", kind="imp", layer="all", level=level, k=k, change=change), "deviation")


def _accuracy(ev: Evidence, start: str, level: int) -> dict[int, float]:
    return evidence.at(_paired.accuracies(ev, "imp", start), level, "level")


def _points(ev: Evidence, k: int, level: int) -> Points:
    """Find effective deviation and accuracy of each of the paper's perturbations, of the seeds that all have.

    Raises:
        Missing: one of them was not tried.
    """
    sizes = evidence.by(ev.rows("perturbations", kind="imp", layer="all", level=level, k=k), "change", "deviation")
    runs = ev.rows("changed_runs", kind="imp", level=level, k=k)
    errors = evidence.by(runs[runs["noise_order"] == runs["noise_order"].min()], "start", "test_error", 100)
    both = {change: (sizes.get(change), errors.get(f"k{k} | {change}")) for change in comparisons.PAPER}
    lacking = sum(None in pair for pair in both.values())
    if lacking:
        raise Missing(f"{lacking} of the paper's {len(both)} perturbations at k {k}, level {level}")
    rows = ev.complete(part or {} for pair in both.values() for part in pair)
    accuracies = [{seed: 100 - error for seed, error in row.items()} for row in rows[1::2]]
    return dict(zip(both, zip(rows[::2], accuracies, strict=True), strict=True))


def _parts(points: Points) -> list[dict[int, float]]:
    return [part for pair in points.values() for part in pair]


def deviation(ev: Evidence, change: str, k: int, level: int) -> Measured:
    """Average the effective deviation of a change over seeds, in units of the weights."""
    return ev.mean(_sizes(ev, change, k, level))


def deviation_ratio(ev: Evidence, change: str, reference: str, k: int, level: int) -> Measured:
    """Divide the mean effective deviations of two changes."""
    return ev.ratio(_sizes(ev, change, k, level), _sizes(ev, reference, k, level))


def largest_mean(ev: Evidence, k: int, level: int) -> Measured:
    """Give the largest size of the mean change, over the paper's perturbations, as a share of its effective deviation."""
    own = ev.rows("perturbations", kind="imp", layer="all", level=level, k=k)
    means, sizes = (evidence.by(own, "change", column) for column in ("mean", "deviation"))
    lacking = len(set(comparisons.PAPER) - set(means))
    if lacking:
        raise Missing(f"{lacking} of the paper's {len(comparisons.PAPER)} perturbations at k {k}, level {level}")
    parts = ev.complete(each[change] for change in comparisons.PAPER for each in (means, sizes))
    return ev.of(estimates.farthest([estimates.ratio(*pair) for pair in zip(parts[::2], parts[1::2], strict=True)]), parts)


def sign_changes(ev: Evidence, step_1: int, step_2: int, scope: str = "all", level: int = 0) -> Measured:
    """Average the share of weights, in percent, whose signs differ between two steps."""
    return ev.mean(evidence.by_seed(ev.rows("signs", scope=scope, level=level, step_1=step_1, step_2=step_2), "changed", 100))


def correlation(ev: Evidence, k: int, level: int) -> Measured:
    """Correlate the mean deviation and the mean accuracy of the paper's perturbations, all of which must be there."""
    points = _points(ev, k, level)
    x, y = ([pair[i] for pair in points.values()] for i in (0, 1))
    return ev.of(estimates.correlation(x, y), _parts(points))


def num_perturbations(ev: Evidence, k: int, level: int) -> Measured:
    """Count the perturbations of the paper's correlation."""
    rows = ev.rows("correlations", set="paper", k=k, level=level)
    return ev.counted(float(rows["num_perturbations"].iloc[0]), len(rows))


def accurate_deviation(ev: Evidence, k: int, level: int, best: int = 5) -> Measured:
    """Divide the mean effective deviation of the paper's most accurate perturbations by that of the rest.

    Which these are is read off the other seeds, so that it is no seed's own noise.
    """
    points = _points(ev, k, level)
    seeds = list(next(iter(points.values()))[0])
    first, second = {}, {}
    for seed in seeds:
        others = [other for other in seeds if other != seed] or [seed]
        ranked = sorted(points.values(), key=lambda pair: -sum(pair[1][other] for other in others))
        first[seed] = statistics.fmean(sizes[seed] for sizes, _ in ranked[:best])
        second[seed] = statistics.fmean(sizes[seed] for sizes, _ in ranked[best:])
    return ev.ratio(first, second)


def _mean_size(residuals: dict[str, float], names: Sequence[str]) -> float:
    return statistics.fmean(abs(residuals[name]) for name in names)


def _at(points: Points, seed: int) -> dict[str, tuple[float, float]]:
    return {change: (sizes[seed], accuracies[seed]) for change, (sizes, accuracies) in points.items()}


def mixture_residuals(ev: Evidence, k: int, level: int) -> Measured:
    """Divide how far mixtures of signs and magnitudes lie from the line through all perturbations by how far the rest do."""
    points, first, second = _points(ev, k, level), {}, {}
    for seed in next(iter(points.values()))[0]:
        own = _at(points, seed)
        sizes, accuracies = zip(*own.values(), strict=True)
        if len(set(sizes)) == 1:
            raise Missing("perturbations of more than one size")
        line = statistics.linear_regression(sizes, accuracies)
        residuals = {change: y - line.intercept - line.slope * x for change, (x, y) in own.items()}
        first[seed] = _mean_size(residuals, list(comparisons.SIGNS))
        second[seed] = _mean_size(residuals, [change for change in own if change not in comparisons.SIGNS])
    return ev.ratio(first, second)


def permutation_residuals(ev: Evidence, k: int, level: int) -> Measured:
    """Divide how far permutations lie from the curve of Gaussian noise by how far mixtures of signs and magnitudes do.

    The curve goes straight from the unperturbed network to each multiple of noise, and level beyond the last.
    """
    points, whole, first, second = _points(ev, k, level), _accuracy(ev, f"k{k}", level), {}, {}
    for seed in next(iter(points.values()))[0]:
        own = _at(points, seed)
        curve = sorted([(0.0, whole.get(seed, float("nan"))), *(own[change] for change in comparisons.NOISE)])
        sizes, accuracies = ([point[i] for point in curve] for i in (0, 1))
        residuals = {change: y - float(np.interp(x, sizes, accuracies)) for change, (x, y) in own.items()}
        first[seed] = _mean_size(residuals, list(_PERMUTED))
        second[seed] = _mean_size(residuals, list(comparisons.SIGNS))
    return ev.ratio(first, second)


def noise_trend(
    ev: Evidence, k: int, from_level: int, to_level: int, sigmas: Sequence[int | float] = (0.5, 1, 2, 3)
) -> Measured:  # fmt: skip
    """Give the change of accuracy, averaged over levels, from the least multiple of noise to the largest."""
    ladders = [_paired.accuracies(ev, "imp", f"k{k} | noise({sigma:g})") for sigma in sigmas]
    found = _paired.common(ev, ladders, from_level, to_level)
    return ev.trend({float(sigma): _paired.over_levels(part) for sigma, part in zip(sigmas, found, strict=True)})
