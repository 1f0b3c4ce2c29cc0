"""What retraining does to the magnitudes of weights, relative to their mean; at the level of the worst case.

Source: paper C, section 3.4, figures 7, 9, 18 and 19.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from pipeline_lib.claims import estimates, evidence
from pipeline_lib.claims.estimates import BySeed
from pipeline_lib.claims.evidence import Evidence, Missing
from pipeline_lib.claims.rules import Measured

Curve = tuple[np.ndarray, np.ndarray]  # magnitudes over their mean, ascending, and the share of weights up to each
Curves = Mapping[int, Curve]  # by seed

_SMALL = 0.2  # of the mean magnitude
_NEXT = 0.2  # share of the weights that the next pruning takes


def _curves(ev: Evidence, start: str) -> dict[int, dict[int, Curve]]:
    """Find the distribution of magnitudes of solutions by level and seed."""
    own = ev.rows("magnitudes", start=start, of="solution").dropna(subset=["ratio"]).sort_values("quantile")
    points: dict[int, dict[int, list[tuple[float, float]]]] = {}
    for level, seed, ratio, share in zip(*(own[name].tolist() for name in ("level", "seed", "ratio", "quantile")), strict=True):
        points.setdefault(level, {}).setdefault(seed, []).append((ratio, share))
    return {i: {seed: (*np.array(each).T,) for seed, each in row.items()} for i, row in points.items()}


def _small(curve: Curve) -> float:
    """Give the share of weights below a fifth of the mean magnitude."""
    return float(np.interp(_SMALL, *curve))


def _quantile(curve: Curve) -> float:
    """Give the magnitude, over the mean, that a fifth of the weights are below."""
    return float(np.interp(_NEXT, curve[1], curve[0]))


def _of_each(number: Callable[[Curve], float], curves: Curves) -> dict[int, float]:
    return {seed: number(curve) for seed, curve in curves.items()}


def _worst(
    ev: Evidence, starts: Sequence[str], from_level: int, to_level: int, compare: Callable[..., tuple[BySeed, BySeed]]
) -> Measured:
    """Divide two means over the seeds that all starts have, at the level where that is highest."""
    every, parts = [_curves(ev, start) for start in starts], list[BySeed]()
    for level in evidence.whole(sorted(set.intersection(*map(set, every))), from_level, to_level):
        parts += compare(*(curves[level] for curves in every))
    kept = ev.complete(parts)
    ratios = [estimates.ratio(above, below) for above, below in zip(kept[::2], kept[1::2], strict=True)]
    return ev.of(estimates.highest(ratios), kept)


def _apart(first: Mapping[int, Curve], second: Mapping[int, Curve]) -> dict[int, float]:
    """Give the difference of two distribution functions where that of the other seeds is largest (Kolmogorov and Smirnov).

    A seed's own largest difference would grow with its noise.
    """
    seeds = sorted(set(first) & set(second))
    if not seeds:
        raise Missing("seeds that have both distributions")
    at = np.unique(np.concatenate([part[seed][0] for part in (first, second) for seed in seeds]))
    away = np.array([np.interp(at, *first[seed]) - np.interp(at, *second[seed]) for seed in seeds])
    if len(seeds) < 2:
        return dict(zip(seeds, np.abs(away).max(1).tolist(), strict=True))
    others = (away.sum(0) - away) / (len(seeds) - 1)
    places = np.abs(others).argmax(1)
    rows = range(len(seeds))
    return dict(zip(seeds, (away[rows, places] * np.sign(others[rows, places])).tolist(), strict=True))


def distribution_ratio(
    ev: Evidence, start: str, reference: str, against: str, from_level: int, to_level: int
) -> Measured:  # fmt: skip
    """Divide how far a start's distribution is from that of `against` by how far the one of a reference start is from it."""

    def compare(own: Curves, other: Curves, base: Curves) -> tuple[dict[int, float], dict[int, float]]:
        return _apart(own, base), _apart(other, base)

    return _worst(ev, (start, reference, against), from_level, to_level, compare)


def small_share_ratio(ev: Evidence, start: str, against: str, from_level: int, to_level: int) -> Measured:
    """Divide the share of weights below a fifth of the mean magnitude by that of another start."""
    return _worst(ev, (start, against), from_level, to_level, lambda *both: tuple(_of_each(_small, part) for part in both))


def quantile_ratio(ev: Evidence, start: str, against: str, from_level: int, to_level: int) -> Measured:
    """Divide the magnitude, over the mean, that a fifth of the weights are below by that of another start."""
    return _worst(ev, (start, against), from_level, to_level, lambda *both: tuple(_of_each(_quantile, part) for part in both))


def pruned_share(ev: Evidence, from_level: int, to_level: int) -> Measured:
    """Give how far the share of weights that are zero right after pruning is from a fifth, at the level where it is furthest.

    In percentage points; the share is 0 where no weight is zero.
    """
    own = ev.rows("magnitudes", of="projection")
    own = own.assign(zero=np.where(own["ratio"].isna(), np.nan, np.where(own["ratio"] == 0, own["quantile"], 0.0)))
    shares = own.groupby(["level", "seed", "start"])["zero"].max().groupby(["level", "seed"]).mean()
    found = evidence.by(shares.reset_index(), "level", "zero", 100)
    asked = evidence.whole(sorted(found), from_level, to_level)
    parts = ev.complete(found[level] for level in asked)
    away = [{seed: share - 100 * _NEXT for seed, share in part.items()} for part in parts]
    return ev.of(estimates.farthest([estimates.mean(part) for part in away]), parts)
