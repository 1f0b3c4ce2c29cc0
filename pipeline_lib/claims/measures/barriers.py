"""Barriers down a ladder: between the solutions of each level and the next, or of each level and of its moved start.

`start` is `k2000` for the former and `k2000 | pruning_sized` for the latter; levels are those of the first network. `place`
is where on the line the error is looked at: anywhere (paper C, definition 2.1), or in the middle (its figure 4).
"""

from __future__ import annotations

from typing import Literal

from pipeline_lib.claims import evidence
from pipeline_lib.claims.evidence import Found, Frames, Measured, minus
from pipeline_lib.claims.measures import _barriers, _matching


def level_barrier(
    frames: Frames, task: str, sparse_level: int, start: str, from_level: int, to_level: int, take: Literal["lowest", "highest"],
    place: Literal["line", "midpoint"] = "line", pairs: Literal["all", "matching", "others"] = "all",
    unit: Literal["points", "tolerances"] = "points", least: int = 3,
) -> Found:  # fmt: skip
    """Give the lowest or highest mean barrier: of all levels, of those that match as the next ones do, or of the others."""
    found, both = _barriers.along(frames, task, start, place, least), _barriers.both_match(frames, task, start, least)
    asked = _matching.between(found, from_level, to_level)
    if asked is None or (both is None and pairs != "all"):
        return None
    wanted = {"all": (True, False), "matching": (True,), "others": (False,)}[pairs]
    kept = [found[level] for level in asked if both is None or both.get(level, False) in wanted]
    points = [point for point in kept if point is not None]
    if not points or len(points) < len(kept):
        return None
    chosen = (max if take == "highest" else min)(points, key=lambda point: point.value)
    return _matching.in_unit(chosen, unit, frames, task, least)


def level_barrier_trend(
    frames: Frames, task: str, sparse_level: int, start: str, from_level: int, to_level: int,
    place: Literal["line", "midpoint"] = "line", least: int = 3,
) -> Found:  # fmt: skip
    """Give Spearman's correlation of the level with the mean barrier."""
    found = _barriers.along(frames, task, start, place, least)
    asked = _matching.between(found, from_level, to_level) or []
    points = {level: point for level in asked if (point := found[level]) is not None}
    if not points or len(points) < len(asked):
        return None
    return evidence.spearman(list(points), [point.value for point in points.values()], evidence.fewest(points))


def level_barrier_lead(frames: Frames, task: str, sparse_level: int, start: str, level: int, later: int, least: int = 3) -> Found:
    """Subtract the mean barrier of a later level, in points."""
    found = _barriers.along(frames, task, start, "line", least)
    return minus(found.get(level), found.get(later))


def level_barrier_ratio(
    frames: Frames, task: str, sparse_level: int, start: str, against: str, level: int,
    place: Literal["line", "midpoint"] = "line", least: int = 3,
) -> Found:  # fmt: skip
    """Divide by the mean barrier from another start; infinite where that is not above 0 and this is, None if neither is."""
    first, second = (_barriers.along(frames, task, each, place, least).get(level) for each in (start, against))
    if first is None or second is None or max(first.value, second.value) <= 0:
        return None
    value = first.value / second.value if second.value > 0 else evidence.NOWHERE
    return Measured(value, None, min(first.num, second.num))
