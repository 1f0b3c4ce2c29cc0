"""What retraining does to the magnitudes of weights, relative to their mean; at the level of the worst case.

Source: paper C, section 3.4, figures 7, 9, 18 and 19.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

import numpy as np

from pipeline_lib.claims import evidence
from pipeline_lib.claims.evidence import Found, Frames, Measured
from pipeline_lib.claims.measures import _matching

Curve = tuple[np.ndarray, np.ndarray]  # magnitudes over their mean, ascending, and the share of weights up to each

_SMALL = 0.2  # of the mean magnitude
_NEXT = 0.2  # share of the weights that the next pruning takes


def _curves(frames: Frames, task: str, start: str) -> dict[int, dict[int, Curve]]:
    """Find the distribution of magnitudes of solutions by level and seed."""
    frame, found = frames.get("magnitudes"), dict[int, dict[int, Curve]]()
    if frame is None:
        return found
    own = frame[(frame["task"] == task) & (frame["start"] == start) & (frame["of"] == "solution")]
    own = own.dropna(subset=["ratio"]).sort_values("quantile")
    for level, seed in own[["level", "seed"]].drop_duplicates().to_numpy().tolist():
        rows = own[(own["level"] == level) & (own["seed"] == seed)]
        found.setdefault(level, {})[seed] = (rows["ratio"].to_numpy(), rows["quantile"].to_numpy())
    return found


def _apart(first: Curve, second: Curve) -> float:
    """Give the largest difference of two distribution functions (Kolmogorov and Smirnov)."""
    at = np.union1d(first[0], second[0])
    return float(np.abs(np.interp(at, *first) - np.interp(at, *second)).max())


def _small(curve: Curve) -> float:
    """Give the share of weights below a fifth of the mean magnitude."""
    return float(np.interp(_SMALL, *curve))


def _quantile(curve: Curve) -> float:
    """Give the magnitude, over the mean, that a fifth of the weights are below."""
    return float(np.interp(_NEXT, curve[1], curve[0]))


def _worst(
    frames: Frames, task: str, starts: Sequence[str], from_level: int, to_level: int, least: int,
    compare: Callable[..., tuple[float, float]],
) -> Found:  # fmt: skip
    """Divide two means over the seeds that all starts have, at the level where that is highest."""
    every = [_curves(frames, task, start) for start in starts]
    found = []
    for level in _matching.between(set.intersection(*map(set, every)), from_level, to_level) or []:
        parts = [curves[level] for curves in every]
        seeds = sorted(set.intersection(*map(set, parts)))
        if len(seeds) < max(least, 1):
            return None
        both = zip(*(compare(*(part[seed] for part in parts)) for seed in seeds), strict=True)
        above, below = map(statistics.fmean, both)
        found.append(Measured(above / below if below else evidence.NOWHERE, None, len(seeds)))
    return max(found, key=lambda point: point.value, default=None)


def distribution_ratio(
    frames: Frames, task: str, sparse_level: int, start: str, reference: str, against: str, from_level: int, to_level: int,
    least: int = 3,
) -> Found:  # fmt: skip
    """Divide how far a start's distribution is from that of `against` by how far the one of a reference start is from it."""

    def compare(own: Curve, other: Curve, base: Curve) -> tuple[float, float]:
        return _apart(own, base), _apart(other, base)

    return _worst(frames, task, (start, reference, against), from_level, to_level, least, compare)


def small_share_ratio(
    frames: Frames, task: str, sparse_level: int, start: str, against: str, from_level: int, to_level: int, least: int = 3
) -> Found:
    """Divide the share of weights below a fifth of the mean magnitude by that of another start."""

    def compare(own: Curve, other: Curve) -> tuple[float, float]:
        return _small(own), _small(other)

    return _worst(frames, task, (start, against), from_level, to_level, least, compare)


def quantile_ratio(
    frames: Frames, task: str, sparse_level: int, start: str, against: str, from_level: int, to_level: int, least: int = 3
) -> Found:
    """Divide the magnitude, over the mean, that a fifth of the weights are below by that of another start."""

    def compare(own: Curve, other: Curve) -> tuple[float, float]:
        return _quantile(own), _quantile(other)

    return _worst(frames, task, (start, against), from_level, to_level, least, compare)


def pruned_share(frames: Frames, task: str, sparse_level: int, from_level: int, to_level: int, least: int = 3) -> Found:
    """Average the share of weights, in percent, that are zero right after pruning, over levels and seeds."""
    frame = frames.get("magnitudes")
    if frame is None:
        return None
    own = frame[(frame["task"] == task) & (frame["of"] == "projection") & frame["level"].between(from_level, to_level)]
    shares = own[own["ratio"] == 0].groupby(["level", "seed"])["quantile"].max().reset_index()
    sizes = shares.groupby("level").size()
    if _matching.between(sizes.index.tolist(), from_level, to_level) is None or int(sizes.min()) < least:
        return None
    return Measured(100 * float(shares["quantile"].mean()), None, int(sizes.min()))
