"""Which of a ladder's solutions are linearly connected, and whether these are the ones that match.

Connected are networks whose barrier is at most the tolerance of matching. Source: paper C, definitions 2.1 and 2.2, section 3.1.
"""

from __future__ import annotations

import itertools
from typing import Literal

from pipeline_lib.claims import evidence
from pipeline_lib.claims.evidence import Found, Frames, Measured, fewest, spearman
from pipeline_lib.claims.measures import _barriers, _matching


def pair_barrier(
    frames: Frames, task: str, sparse_level: int, start: str, from_level: int, to_level: int,
    unit: Literal["points", "tolerances"] = "points", least: int = 3,
) -> Found:  # fmt: skip
    """Give the mean barrier between the solutions of two levels."""
    point = _barriers.pairs(frames, task, start, "barrier", least).get((from_level, to_level))
    return _matching.in_unit(point, unit, frames, task, least)


def pair_barrier_trend(
    frames: Frames, task: str, sparse_level: int, from_level: int, to_level: int, through: int, least: int = 3
) -> Found:
    """Give Spearman's correlation of the rewind step with the mean barrier between the solutions of two levels."""
    steps = _barriers.steps(frames, task, through) or []
    found = {k: pair_barrier(frames, task, sparse_level, f"k{k}", from_level, to_level, least=least) for k in steps}
    points = {k: point for k, point in found.items() if point is not None}
    if len(points) < max(len(found), 1):
        return None
    return spearman(list(points), [point.value for point in points.values()], fewest(points))


def _matching_pairs(
    frames: Frames, task: str, start: str, column: str, from_level: int, to_level: int, least: int
) -> dict[tuple[int, int], Measured] | None:
    """Average a column for every two matching levels; None where there are no two of them, or a pair was not measured."""
    found, matches = _barriers.pairs(frames, task, start, column, least), _matching.levels(frames, task, start, least)
    if matches is None or len(matches) <= to_level:
        return None
    asked = list(itertools.combinations([level for level in range(from_level, to_level + 1) if matches[level]], 2))
    points = {pair: point for pair, point in found.items() if pair in asked and point is not None}
    return points if points and len(points) == len(asked) else None


def highest_path_error(
    frames: Frames, task: str, sparse_level: int, start: str, from_level: int, to_level: int, least: int = 3
) -> Found:
    """Give the highest error between any two matching levels, less the dense network's, in tolerances.

    It is the largest mean over seeds of the highest error on a line, as figure 2's heat map has it.
    """
    points = _matching_pairs(frames, task, start, "max_error", from_level, to_level, least)
    highest = max(points.values(), key=lambda point: point.value) if points else None
    return _matching.raised(highest, frames, task, least)


def gap_trend(frames: Frames, task: str, sparse_level: int, start: str, from_level: int, to_level: int, least: int = 3) -> Found:
    """Give Spearman's correlation of how many levels matching solutions are apart with the mean barrier between them."""
    points = _matching_pairs(frames, task, start, "barrier", from_level, to_level, least)
    if not points:
        return None
    num = min(point.num for point in points.values())
    return spearman([j - i for i, j in points], [point.value for point in points.values()], num)


def path_error(frames: Frames, task: str, sparse_level: int, start: str, from_level: int, to_level: int, least: int = 3) -> Found:
    """Give the highest mean error on the lines between successive matching levels, less the dense network's, in tolerances."""
    frame, both = frames.get("paths"), _barriers.both_match(frames, task, start, least)
    if frame is None or both is None or to_level not in both:
        return None
    own = frame[(frame["task"] == task) & (frame["what"] == "levels") & (frame["start"] == start) & (frame["split"] == "test")]
    points = []
    for level in (level for level in range(from_level, to_level + 1) if both[level]):
        line = own[(own["level_1"] == level) & (own["level_2"] == level + 1)]
        places = line["alpha"].unique().tolist()
        points += [evidence.average(100 * line[line["alpha"] == place]["error"], least) for place in places] or [None]
    known = [point for point in points if point is not None]
    highest = max(known, key=lambda point: point.value, default=None)
    return _matching.raised(highest, frames, task, least) if len(known) == len(points) else None


def _verdicts(
    frames: Frames, task: str, from_level: int, to_level: int, through: int, least: int
) -> list[tuple[bool, bool, int]] | None:
    """Tell of each level, from every rewind step, whether it and the next match and are connected, and its levels to the limit.

    The limit is the last level that all match down to.
    """
    size, found = _matching.tolerance(frames, task, least), []
    for k in _barriers.steps(frames, task, through) or []:
        matches = _matching.levels(frames, task, f"k{k}", least)
        barriers = _barriers.along(frames, task, f"k{k}", "line", least)
        for level in range(from_level, to_level + 1):
            point = barriers.get(level)
            if size is None or matches is None or point is None or len(matches) <= level + 1:
                return None
            match = matches[level] and matches[level + 1]
            found.append((match, point.value <= size, abs(level - _matching.depth(matches))))
    return found or None


def agreement(
    frames: Frames, task: str, sparse_level: int, from_level: int, to_level: int, through: int, least: int = 3
) -> Found:
    """Give the share, in percent, of levels that are connected to the next one if and only if both match.

    All rewind steps from 0 to `through` count.
    """
    found = _verdicts(frames, task, from_level, to_level, through, least)
    if found is None:
        return None
    return Measured(100 * sum(match == connected for match, connected, _ in found) / len(found), None, len(found))


def stray_levels(
    frames: Frames, task: str, sparse_level: int, from_level: int, to_level: int, through: int, least: int = 3
) -> Found:
    """Count the levels of `agreement` that are exceptions and lie more than one level from where matching ends."""
    found = _verdicts(frames, task, from_level, to_level, through, least)
    if found is None:
        return None
    return Measured(float(sum(match != connected and apart > 1 for match, connected, apart in found)), None, len(found))


def break_places(frames: Frames, task: str, sparse_level: int, start: str, from_level: int = 1, least: int = 3) -> Found:
    """Count the levels from the first that is not connected to the one before to the first that does not match.

    It is infinite if only one of them is there, and None if neither is.
    """
    size, matches = _matching.tolerance(frames, task, least), _matching.levels(frames, task, start, least)
    barriers = _barriers.along(frames, task, start, "line", least)
    if size is None or matches is None:
        return None
    asked = range(from_level, len(matches) - 1)
    points = {level: point for level in asked if (point := barriers.get(level)) is not None}
    apart = next((level + 1.0 for level, point in points.items() if point.value > size), evidence.NOWHERE)
    failed = next((float(level) for level in range(from_level, len(matches)) if not matches[level]), evidence.NOWHERE)
    if not points or len(points) < len(asked) or failed == apart == evidence.NOWHERE:
        return None
    return Measured(failed - apart, None, fewest(points))


def num_between(frames: Frames, task: str, sparse_level: int) -> Found:
    """Count the points between the ends of the line that has the fewest."""
    frame = frames.get("paths")
    if frame is None:
        return None
    own = frame[(frame["task"] == task) & (frame["alpha"] > 0) & (frame["alpha"] < 1)]
    points = own.groupby(["seed", "what", "start", "level_1", "level_2", "split"])["alpha"].nunique()
    return Measured(float(points.min()), None, len(points)) if len(points) else None
