"""Test accuracies, in percent, of networks from any start, and their differences seed by seed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping

from pipeline_lib.claims import evidence
from pipeline_lib.claims.evidence import Found, Frames, Measured

BySeed = dict[int, float]
ByLevel = dict[int, BySeed]


def accuracies(frames: Frames, task: str, kind: str, start: str) -> ByLevel:
    """Find the accuracies of one kind from one start, plain or changed, under the ladder's own order."""
    found: ByLevel = {}
    for table in ("runs", "changed_runs"):
        own = evidence.ladder({"runs": frames[table]}, task, kind) if table in frames else None
        if own is None:
            continue
        rows = own[own["start"] == start]
        for level, seed, accuracy in zip(*(rows[name].tolist() for name in ("level", "seed", "accuracy")), strict=True):
            found.setdefault(level, {})[seed] = accuracy
    return found


def rewind_step(frames: Frames, task: str, start: str) -> int | None:
    """Find the rewind step of a start in the tables; None where no table has it."""
    for frame in (frames[table] for table in ("runs", "changed_runs", "barriers") if table in frames):
        steps = frame[(frame["task"] == task) & (frame["start"] == start)]["k"]
        if len(steps):
            return int(steps.iloc[0])
    return None


def plain(frames: Frames, task: str, start: str, kind: str = "imp") -> ByLevel:
    """Find the accuracies of one kind from the W_k that a start begins with."""
    k = rewind_step(frames, task, start)
    return {} if k is None else accuracies(frames, task, kind, f"k{k}")


def common(parts: Iterable[ByLevel], from_level: int, to_level: int, least: int) -> list[ByLevel] | None:
    """Keep the levels and seeds that all parts have.

    Returns:
        The parts; None where they lack the first or last level, have fewer than `least` seeds in common, or one diverged.
    """
    whole = list(parts)
    levels = sorted(level for level in set.intersection(*map(set, whole)) if from_level <= level <= to_level)
    if not {from_level, to_level} <= set(levels):
        return None
    seeds = sorted(set.intersection(*(set(part[level]) for part in whole for level in levels)))
    kept = [{level: {seed: part[level][seed] for seed in seeds} for level in levels} for part in whole]
    diverged = any(math.isnan(value) for part in kept for row in part.values() for value in row.values())
    return None if diverged or len(seeds) < least else kept


def minus(first: ByLevel, second: ByLevel) -> ByLevel:
    """Subtract, seed by seed, what has the same levels and seeds."""
    return {level: {seed: row[seed] - second[level][seed] for seed in row} for level, row in first.items()}


def paired(first: ByLevel, second: ByLevel, from_level: int, to_level: int, least: int) -> ByLevel | None:
    """Subtract on the levels and seeds that both have; None as in `common`."""
    both = common([first, second], from_level, to_level, least)
    return None if both is None else minus(*both)


def over_seeds(values: Mapping[int, float]) -> Measured:
    """Average replicates."""
    found = list(values.values())
    return Measured(statistics.fmean(found), statistics.stdev(found) if len(found) > 1 else None, len(found))


def over_levels(values: ByLevel) -> Measured:
    """Average levels, and then replicates."""
    levels = list(values.values())
    return over_seeds({seed: statistics.fmean(level[seed] for level in levels) for seed in levels[0]})


def in_errors(point: Measured) -> Found:
    """Divide a mean by its standard error, as if replicates were independent; None for one replicate."""
    if point.spread is None:
        return None
    if point.spread == 0:
        return Measured(0.0 if point.value == 0 else math.copysign(math.inf, point.value), None, point.num)
    return Measured(point.value * point.num**0.5 / point.spread, None, point.num)


def choose(points: Iterable[Measured], take: str, errors: bool) -> Found:
    """Take the lowest or highest of some means, or the only one; in standard errors if so asked."""
    found = [in_errors(point) if errors else point for point in points]
    known = [point for point in found if point is not None]
    if not known or len(known) < len(found):
        return None
    return (max if take == "highest" else min)(known, key=lambda point: point.value)


def taken(values: ByLevel, take: str, errors: bool) -> Found:
    """Average levels, or take the level with the lowest or highest mean over seeds."""
    points = [over_levels(values)] if take == "mean" else [over_seeds(level) for level in values.values()]
    return choose(points, take, errors)
