"""The linearly connected sublevel set of a solution, in a plane through it, over the seeds whose planes were drawn.

Where the border of the set is beyond the plane, its reach counts as that to the plane's edge; two such reaches say nothing.

Source: paper C, definition 2.4, figures 3, 6, 13, 14, 16 and 17.
"""

from __future__ import annotations

import math
from typing import Literal

import pandas as pd

from pipeline_lib.claims import estimates, evidence
from pipeline_lib.claims.estimates import Sample, possible
from pipeline_lib.claims.evidence import Evidence, Missing
from pipeline_lib.claims.measures import _matching
from pipeline_lib.claims.rules import Measured


def _sets(ev: Evidence, plane: str, k: int) -> dict[int, pd.DataFrame]:
    """Find the rows of each level, one a seed."""
    own = ev.rows("sets", plane=plane, k=k)
    return {level: own[own["level"] == level] for level in sorted(own["level"].unique().tolist())}


def _inside(ev: Evidence, rows: pd.DataFrame, point: str) -> dict[int, float]:
    """Tell of each seed whether its projection, or next solution, is in the set."""
    values = [math.nan if pd.isna(value) else float(value) for value in rows[f"{point}_inside"].tolist()]
    return ev.complete([dict(zip(rows["seed"].tolist(), values, strict=True))])[0]


def _share(values: dict[int, float], outside: bool = False) -> Sample:
    inside = sum(values.values())
    return estimates.share(len(values) - inside if outside else inside, len(values))


def inside_share(ev: Evidence, point: Literal["projection", "next"], k: int, from_level: int, to_level: int) -> Measured:
    """Give the share, in percent, of seeds whose projection, or next solution, is in the set, at the level where it is lowest."""
    found = _sets(ev, "pruning", k)
    parts = [_inside(ev, found[level], point) for level in evidence.whole(list(found), from_level, to_level)]
    return ev.of(estimates.lowest([_share(part) for part in parts]), parts)


def returning_levels(ev: Evidence, k: int) -> Measured:
    """Count the levels of the longest run in which the projection has left the set and the next solution is in it.

    A level counts if this is so for most seeds.
    """
    found = _sets(ev, "pruning", k)
    levels = [level for level, rows in found.items() if rows["next_inside"].notna().any()]
    sure, guess, parts = [], [], []
    for level in levels:
        both = [_inside(ev, found[level], point) for point in ("projection", "next")]
        shares = [_share(both[0], outside=True), _share(both[1])]
        each = [estimates.decide(share, 50.0, ev.level, 2 * len(levels)) for share in shares]
        sure.append(False if False in each else None if None in each else True)
        guess.append(all(share(ev.level).value > 50 for share in shares))
        parts += both

    def longest(returns: list[bool]) -> float:
        runs, run, before = [0], 0, None
        for level, is_one in zip(levels, returns, strict=True):
            run = (run if before == level - 1 else 0) + 1 if is_one else 0
            before = level
            runs.append(run)
        return float(max(runs))

    if not levels:
        raise Missing("planes with a next solution")
    return ev.having(possible(longest, sure, guess), parts)


def lost_share(ev: Evidence, k: int) -> Measured:
    """Give the share of seeds, in percent, whose projection, and next solution, is outside the set where the next fails to match.

    It is of the one of the two for which it is lower, at the last level before the first that does not match.
    """
    matches, found = _matching.levels(ev, f"k{k}"), _sets(ev, "pruning", k)
    level = _matching.depth(matches)
    if all(matches[1:]) or level not in found:
        raise Missing("a plane where matching ends")
    parts = [_inside(ev, found[level], point) for point in ("projection", "next")]
    return ev.of(estimates.lowest([_share(part, outside=True) for part in parts]), parts)


Edges = dict[int, dict[int, tuple[float, float, float, float]]]


def _edges(ev: Evidence, plane: str, k: int) -> Edges:
    """Find the lowest and highest x and y of the planes by level and seed."""
    own = ev.rows("planes", plane=plane, k=k).groupby(["level", "seed"])[["x", "y"]]
    found: Edges = {}
    for (level, seed), low, high in zip(own.min().index, own.min().to_numpy(), own.max().to_numpy(), strict=True):
        found.setdefault(level, {})[seed] = (low[0], high[0], low[1], high[1])
    return found


def _column(rows: pd.DataFrame, name: str) -> dict[int, float]:
    return dict(zip(rows["seed"].tolist(), rows[name].astype(float).tolist(), strict=True))


def _reach(rows: pd.DataFrame, edges: Edges, column: str) -> dict[int, float]:
    """Give the distance to the set's border, or else to the plane's edge."""
    far = {seed: own[1 if column == "reach_x" else 3] for seed, own in edges.get(int(rows["level"].iloc[0]), {}).items()}
    return {seed: far.get(seed, math.nan) if math.isnan(reach) else reach for seed, reach in _column(rows, column).items()}


def _area(rows: pd.DataFrame, edges: Edges) -> dict[int, float]:
    """Multiply the set's share of the plane by the plane's area."""
    sides = {seed: (x1 - x0) * (y1 - y0) for seed, (x0, x1, y0, y1) in edges.get(int(rows["level"].iloc[0]), {}).items()}
    return {seed: share * sides.get(seed, math.nan) for seed, share in _column(rows, "share").items()}


def set_trend(
    ev: Evidence, plane: Literal["pruning", "directions"], extent: Literal["area", "reach_x", "reach_y"], k: int
) -> Measured:  # fmt: skip
    """Give the change of the set's size from the first to the last level that matches, as a share of its mean size.

    An area shrinks if it does so both by itself and as a share of the plane, whose size follows that of the weights.
    """
    matches, found = _matching.levels(ev, f"k{k}"), _sets(ev, plane, k)
    evidence.whole(range(len(matches)), max(found), max(found))
    kept = {level: rows for level, rows in found.items() if matches[level]}
    if len(kept) < 3:
        raise Missing(f"planes of 3 levels that match; has {len(kept)}")
    edges = _edges(ev, plane, k)
    if extent == "area":
        sizes = [[_column(rows, "share") for rows in kept.values()], [_area(rows, edges) for rows in kept.values()]]
    else:
        sizes = [[_reach(rows, edges, extent) for rows in kept.values()]]
    series = [evidence.relative(ev, dict(zip(kept, each, strict=True))) for each in sizes]
    return ev.of(estimates.highest(list(map(estimates.trend, series))), [row for each in series for row in each.values()])


def reach_ratio(ev: Evidence, k: int, from_level: int, to_level: int) -> Measured:
    """Divide the set's mean reach in the direction of magnitude pruning by that across it, at the level where this is least.

    Every level from one to the other that has a plane must tell; those that were not drawn do not count.
    """
    found = _sets(ev, "directions", k)
    asked = [level for level in found if from_level <= level <= to_level]
    known = [level for level in asked if found[level][["reach_x", "reach_y"]].notna().any(axis=1).all()]
    if not asked or len(known) < len(asked) or {from_level, to_level} - set(asked):
        raise Missing(f"{len(asked) - len(known)} of {len(asked)} levels whose set ends within the plane")
    edges, parts = _edges(ev, "directions", k), list[dict[int, float]]()
    for level in known:
        parts += ev.complete(_reach(found[level], edges, column) for column in ("reach_x", "reach_y"))
    return ev.of(estimates.lowest([estimates.ratio(x, y) for x, y in zip(parts[::2], parts[1::2], strict=True)]), parts)


def num_across(ev: Evidence) -> Measured:
    """Count the points along either axis of the plane that has the fewest."""
    sides = ev.rows("planes").groupby(["seed", "plane", "k", "level"])[["x", "y"]].nunique()
    return ev.counted(float(sides.to_numpy().min()), len(sides))
