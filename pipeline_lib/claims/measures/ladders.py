"""Accuracy down the ladders of pruning levels."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Literal

from pipeline_lib.claims import estimates, evidence
from pipeline_lib.claims.estimates import minus, possible
from pipeline_lib.claims.evidence import Evidence, Missing
from pipeline_lib.claims.rules import Measured

_CONTROLS = ("random_prune", "reinit")
Grid = dict[int, dict[int, dict[int, float]]]  # accuracies by rewind step, level and seed


def _levels(ev: Evidence, kind: str, k: int) -> dict[int, dict[int, float]]:
    """Find the accuracies of all sparse levels of a ladder from step k, which must be whole."""
    own = evidence.ladder(ev, kind)
    found = evidence.by(own[(own["k"] == k) & (own["level"] > 0)], "level", "accuracy")
    evidence.whole(list(found), 1, max(found, default=1))
    return found


def _grid(ev: Evidence, from_k: int, to_k: int, from_level: int, to_level: int) -> Grid:
    """Find IMP's accuracies at every level from every rewind step of the grid, of which all seeds have all."""
    own = evidence.ladder(ev, "imp")
    steps = sorted(k for k in own["k"].unique().tolist() if from_k <= k <= to_k)
    if not {from_k, to_k} <= set(steps):
        raise Missing(f"rewind steps from {from_k} to {to_k}")
    found = {k: _levels(ev, "imp", k) for k in steps}
    asked = evidence.whole(sorted(set.intersection(*map(set, found.values()))), from_level, to_level)
    rows = iter(ev.complete(found[k][level] for k in steps for level in asked))
    return {k: {level: next(rows) for level in asked} for k in steps}


def _matches(ev: Evidence, values: dict[int, float], of: int) -> tuple[bool | None, bool]:
    """Tell whether networks match, for sure and by the mean."""
    margins = ev.complete([evidence.matching_margins(ev, values)])[0]
    return ev.decide(margins, 0.0, of), statistics.fmean(margins.values()) >= 0


def _deepest(decisions: Sequence[bool]) -> float:
    return float(max((level for level, good in enumerate(decisions, 1) if good), default=0))


def smallest_matching_density(ev: Evidence, through: int, beyond: int = 2) -> Measured:
    """Give the lowest density, in percent, at which IMP from some rewind step matches, on ladders `beyond` levels too deep.

    Source: paper B, appendix A.
    """
    own = evidence.ladder(ev, "imp")
    deepest = int(own["level"].max())
    if deepest < ev.sparse_level + beyond:
        raise Missing(f"{ev.sparse_level + beyond} levels")
    grid = _grid(ev, 0, through, 1, deepest)
    sure, guess = [], []
    for level in range(1, deepest + 1):
        found = [_matches(ev, grid[k][level], len(grid) * deepest) for k in grid]
        each = [one for one, _ in found]
        sure.append(True if True in each else None if None in each else False)
        guess.append(any(good for _, good in found))
    left = 100 * own.groupby("level")["density"].mean()
    ends = possible(lambda good: -float(left.get(int(_deepest(good)), 100.0)), sure, guess)
    found_at = estimates.Interval(-ends.value, -ends.high, -ends.low)
    return ev.having(found_at, [row for levels in grid.values() for row in levels.values()])


def levels_ahead(ev: Evidence, k: int, ahead: int) -> Measured:
    """Count the levels from the controls' last matching one to IMP's, on ladders that go on for `ahead` levels at least."""
    ladders = [_levels(ev, kind, k) for kind in ("imp", *_CONTROLS)]
    if len({len(levels) for levels in ladders}) > 1:
        raise Missing("ladders of one length of IMP and both controls")
    parts = []
    for levels in ladders:
        each = [_matches(ev, row, len(levels)) for row in levels.values()]
        parts.append(possible(_deepest, [one for one, _ in each], [good for _, good in each]))
    imp, *controls = parts
    best = estimates.Interval(*(max(getattr(each, end) for each in controls) for end in ("value", "low", "high")))
    if len(ladders[0]) < best.value + ahead:
        raise Missing(f"{int(best.value) + ahead} levels")
    return ev.having(estimates.difference(imp, best), [row for levels in ladders for row in levels.values()])


def best_k_lead(ev: Evidence, through: int, everywhere: bool = False) -> Measured:
    """Subtract the better control from step 0 from IMP's best over rewind steps: at the sparse level, or its least lead.

    The best step is that of the other seeds, so that it is no seed's own noise.
    """
    controls = [_levels(ev, kind, 0) for kind in _CONTROLS]
    levels = sorted(set.union(*map(set, controls))) if everywhere else [ev.sparse_level]
    grid = _grid(ev, 0, through, min(levels), max(levels))
    leads = []
    for level in levels:
        at_level = {k: rows[level] for k, rows in grid.items()}
        best = {seed: at_level[k][seed] for seed, k in evidence.best_of_others(at_level, max).items()}
        leads += [minus(*ev.complete([best, evidence.at(control, level, "level")])) for control in controls]
    return ev.extreme(leads, "lowest")


def grid_margin(ev: Evidence, level: int, from_k: int, to_k: int, take: Literal["lowest", "highest"]) -> Measured:
    """Subtract the accuracy that matches from IMP's lowest or highest at a level, over the rewind steps of the grid."""
    grid = _grid(ev, from_k, to_k, level, level)
    return ev.extreme((evidence.matching_margins(ev, levels[level]) for levels in grid.values()), take)


def grid_accuracy(ev: Evidence, take: Literal["lowest", "highest"], to_level: int, through: int) -> Measured:
    """Give the lowest or highest mean accuracy of the dense network and of IMP's at every level and rewind step."""
    grid = _grid(ev, 0, through, 1, to_level)
    return ev.extreme([ev.dense, *(row for levels in grid.values() for row in levels.values())], take)


def rewind_trend(
    ev: Evidence, from_level: int, to_level: int, through: int, take: Literal["lowest", "highest"]
) -> Measured:  # fmt: skip
    """Give the change of IMP's accuracy from the first rewind step to the last, at the level where it is lowest or highest."""
    grid = _grid(ev, 0, through, from_level, to_level)
    if len(grid) < evidence.LEAST_PLACES:
        raise Missing(f"{evidence.LEAST_PLACES} rewind steps; has {len(grid)}")
    levels = range(from_level, to_level + 1)
    trends = [estimates.trend({float(k): grid[k][level] for k in grid}) for level in levels]
    return ev.of(estimates.extreme(trends, take), [row for each in grid.values() for row in each.values()])


def late_gain_share(ev: Evidence, k: int, later: int, from_level: int, to_level: int) -> Measured:
    """Divide the gain from step k to a later one by that from 0 to k, at the level of the largest share."""
    grid = _grid(ev, 0, later, from_level, to_level)
    if k not in grid:
        raise Missing(f"k {k}")
    levels = range(from_level, to_level + 1)
    gains = [(minus(grid[later][level], grid[k][level]), minus(grid[k][level], grid[0][level])) for level in levels]
    shares = [estimates.ratio(late, early) for late, early in gains]
    return ev.of(estimates.highest(shares), [row for each in grid.values() for row in each.values()])
