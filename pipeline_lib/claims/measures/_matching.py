"""Which levels of a ladder match the dense network: within one standard deviation of it, or 0.2 points if that is more.

Source: paper C, definition 2.2; ambiguity G-11.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

from pipeline_lib.claims import evidence
from pipeline_lib.claims.evidence import Found, Frames, Measured, Points
from pipeline_lib.claims.measures import _paired

Unit = Literal["points", "tolerances"]


def ladder(frames: Frames, task: str, start: str, least: int) -> Points | None:
    """Average IMP's test accuracy at each level from a start; level 0 is the plain start's. None unless the ladder is whole."""
    plain = _paired.plain(frames, task, start)
    rows = {level: row for level, row in plain.items() if level == 0} | _paired.accuracies(frames, task, "imp", start)
    whole = all(len(row) >= least and not any(map(math.isnan, row.values())) for row in rows.values())
    if len(rows) < 2 or sorted(rows) != list(range(len(rows))) or not whole:
        return None
    return {level: _paired.over_seeds(rows[level]) for level in sorted(rows)}


def levels(frames: Frames, task: str, start: str, least: int) -> list[bool] | None:
    """Tell of each level from 0 whether it matches."""
    points, enough = ladder(frames, task, start, least), evidence.matching_accuracy(frames, task, least)
    return None if points is None or enough is None else [point.value >= enough for point in points.values()]


def between(levels: Iterable[int], from_level: int, to_level: int) -> list[int] | None:
    """Keep the levels from one to another; None unless both are among them."""
    found = sorted(level for level in levels if from_level <= level <= to_level)
    return found if {from_level, to_level} <= set(found) else None


def depth(matches: list[bool]) -> int:
    """Give the last level down to which all sparse levels match; 0 if the first one does not."""
    return next((level for level in range(1, len(matches)) if not matches[level]), len(matches)) - 1


def tolerance(frames: Frames, task: str, least: int) -> float | None:
    """Give the points of accuracy that a matching network may lack."""
    dense, enough = evidence.dense_accuracy(frames, task, least), evidence.matching_accuracy(frames, task, least)
    return None if dense is None or enough is None else dense.value - enough


def in_unit(point: Found, unit: str, frames: Frames, task: str, least: int) -> Found:
    """Leave a difference of errors in points, or divide it by the tolerance."""
    size = tolerance(frames, task, least)
    if unit == "points" or point is None or size is None:
        return point if unit == "points" else None
    return Measured(point.value / size, None if point.spread is None else point.spread / size, point.num)


def raised(point: Found, frames: Frames, task: str, least: int) -> Found:
    """Subtract the dense network's error from an error in percent, in tolerances: what matches is at most 1."""
    dense = evidence.dense_accuracy(frames, task, least)
    if point is None or dense is None:
        return None
    above = Measured(point.value - (100 - dense.value), point.spread, point.num)
    return in_unit(above, "tolerances", frames, task, least)
