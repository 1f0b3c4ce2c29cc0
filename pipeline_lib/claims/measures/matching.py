"""How far down a ladder networks match the dense network, from any start. Source: paper C, definition 2.2; ambiguity G-11."""

from __future__ import annotations

from typing import Literal

from pipeline_lib.claims import evidence
from pipeline_lib.claims.evidence import Found, Frames, Measured, fewest
from pipeline_lib.claims.measures import _matching, _paired


def matching_depth(frames: Frames, task: str, sparse_level: int, start: str, least: int = 3) -> Found:
    """Give the last level down to which all of a start's sparse networks match."""
    points, matches = _matching.ladder(frames, task, start, least), _matching.levels(frames, task, start, least)
    return None if points is None or matches is None else Measured(float(_matching.depth(matches)), None, fewest(points))


def depth_lead(frames: Frames, task: str, sparse_level: int, start: str, against: str, least: int = 3) -> Found:
    """Subtract the last level down to which another start's networks match."""
    first, second = (matching_depth(frames, task, sparse_level, each, least) for each in (start, against))
    return evidence.minus(first, second)


def start_margin(
    frames: Frames, task: str, sparse_level: int, start: str, from_level: int, to_level: int, take: Literal["lowest", "highest"],
    least: int = 3,
) -> Found:  # fmt: skip
    """Subtract the accuracy that matches from that of a start, at the level where that is lowest or highest."""
    enough = evidence.matching_accuracy(frames, task, least)
    found = _paired.common([_paired.accuracies(frames, task, "imp", start)], from_level, to_level, least)
    point = None if found is None else _paired.taken(found[0], take, False)
    return None if point is None or enough is None else Measured(point.value - enough, point.spread, point.num)
