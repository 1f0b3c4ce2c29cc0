"""Barriers on the lines between two networks of a ladder, averaged over seeds; test split, in percentage points."""

from __future__ import annotations

from typing import Any

from pipeline_lib.claims import evidence
from pipeline_lib.claims.evidence import Curve, Found, Frames
from pipeline_lib.claims.measures import _matching, _paired

Pairs = dict[tuple[int, int], Found]


def pairs(frames: Frames, task: str, start: str, column: str, least: int) -> Pairs:
    """Average a column for each two levels from a start; solutions with a moved start's are pairs of one level.

    The column may be `midpoint`: how far the error in the middle lies above the mean of the ends (ambiguity C-X3).
    """
    frame = frames.get("barriers")
    if frame is None:
        return {}
    own = frame[(frame["task"] == task) & (frame["start"] == start) & (frame["split"] == "test")]
    own = own[own["what"] != "projection"].assign(midpoint=own["midpoint_error"] - own["mean_end_error"])
    found: Pairs = {}
    i: Any
    j: Any
    for (i, j), values in own.groupby(["level_1", "level_2"])[column]:
        found[int(i), int(j)] = evidence.average(100 * values, least)
    return found


def along(frames: Frames, task: str, start: str, place: str, least: int) -> Curve:
    """Give each level's barrier to the next one's solution, or to that of its own moved start."""
    column = "midpoint" if place == "midpoint" else "barrier"
    return {i: point for (i, j), point in sorted(pairs(frames, task, start, column, least).items()) if j - i <= 1}


def both_match(frames: Frames, task: str, start: str, least: int) -> dict[int, bool] | None:
    """Tell of each level but the last whether it and the next one match, on the plain ladder of a start."""
    k = _paired.rewind_step(frames, task, start)
    matches = None if k is None else _matching.levels(frames, task, f"k{k}", least)
    return None if matches is None else {i: matches[i] and matches[i + 1] for i in range(len(matches) - 1)}


def steps(frames: Frames, task: str, through: int) -> list[int] | None:
    """List the rewind steps whose solutions were compared, from 0 to `through`; None if one of these two is missing."""
    frame = frames.get("barriers")
    if frame is None:
        return None
    own = frame[(frame["task"] == task) & (frame["what"] == "levels")]
    found = sorted(k for k in own["k"].unique().tolist() if k <= through)
    return found if {0, through} <= set(found) else None
