"""Means over replicates at rewind steps, and how they go with the step."""

from __future__ import annotations

import statistics

from pipeline_lib.claims import evidence
from pipeline_lib.claims.evidence import Found, Frames, Measured, curve, cut, fewest, minus, pearson, spearman


def dense_accuracy(frames: Frames, task: str, sparse_level: int, least: int = 3) -> Found:
    """Average the test accuracy of the dense networks over seeds, from the first rewind step under the first order."""
    return evidence.dense_accuracy(frames, task, least)


def at_step(
    frames: Frames, task: str, sparse_level: int, of: str, kind: str, k: int, split: str = "test", least: int = 3
) -> Found:
    """Give the mean over replicates at one rewind step."""
    return curve(of, frames, task, sparse_level, kind, split, least).get(k)


def lowest(
    frames: Frames, task: str, sparse_level: int, of: str, kind: str, through: int, split: str = "test", least: int = 3
) -> Found:
    """Give the smallest mean over the rewind steps."""
    points = cut(curve(of, frames, task, sparse_level, kind, split, least), through)
    return min(points.values(), key=lambda point: point.value) if points else None


def highest(
    frames: Frames, task: str, sparse_level: int, of: str, kind: str, through: int, split: str = "test", least: int = 3
) -> Found:
    """Give the largest mean over the rewind steps."""
    points = cut(curve(of, frames, task, sparse_level, kind, split, least), through)
    return max(points.values(), key=lambda point: point.value) if points else None


def variation(
    frames: Frames, task: str, sparse_level: int, of: str, kind: str, through: int, split: str = "test", least: int = 3
) -> Found:
    """Subtract the smallest mean over the rewind steps from the largest."""
    points = cut(curve(of, frames, task, sparse_level, kind, split, least), through)
    values = [point.value for point in points.values()] if points else []
    return Measured(max(values) - min(values), None, fewest(points)) if points else None


def change(
    frames: Frames, task: str, sparse_level: int, of: str, kind: str, k: int, split: str = "test", least: int = 3
) -> Found:
    """Subtract the mean at step 0 from the one at step k."""
    points = curve(of, frames, task, sparse_level, kind, split, least)
    return minus(points.get(k), points.get(0))


def difference(
    frames: Frames, task: str, sparse_level: int, of: str, kind: str, other: str, k: int, split: str = "test", least: int = 3
) -> Found:
    """Subtract the other kind's mean at step k."""
    first, second = (curve(of, frames, task, sparse_level, each, split, least).get(k) for each in (kind, other))
    return minus(first, second)


def ratio(
    frames: Frames, task: str, sparse_level: int, of: str, kind: str, other: str, k: int, split: str = "test", least: int = 3
) -> Found:
    """Divide by the other kind's mean at step k."""
    first, second = (curve(of, frames, task, sparse_level, each, split, least).get(k) for each in (kind, other))
    if first is None or second is None or second.value == 0:
        return None
    return Measured(first.value / second.value, None, min(first.num, second.num))


def split_gap(
    frames: Frames, task: str, sparse_level: int, of: str, kind: str, through: int, size: bool = True, least: int = 3
) -> Found:
    """Average train minus test over the rewind steps; its size, or with its sign."""
    train, test = (cut(curve(of, frames, task, sparse_level, kind, split, least), through) for split in ("train", "test"))
    if not train or not test or list(train) != list(test):
        return None
    gaps = [train[k].value - test[k].value for k in train]
    return Measured(statistics.fmean(abs(gap) if size else gap for gap in gaps), None, fewest(train, test))


def rank_trend(
    frames: Frames, task: str, sparse_level: int, of: str, kind: str, through: int, split: str = "test", least: int = 3
) -> Found:
    """Give Spearman's correlation of the means with the rewind step."""
    points = cut(curve(of, frames, task, sparse_level, kind, split, least), through)
    return spearman(list(points), [point.value for point in points.values()], fewest(points)) if points else None


def linear_fall(
    frames: Frames, task: str, sparse_level: int, of: str, kind: str, through: int, split: str = "test", least: int = 3
) -> Found:
    """Give Pearson's correlation with the rewind step or with its place on the grid, whichever is lower (B-X9)."""
    points = cut(curve(of, frames, task, sparse_level, kind, split, least), through)
    if not points:
        return None
    values, num = [point.value for point in points.values()], fewest(points)
    both = [pearson(x, values, num) for x in (list(points), range(len(points)))]
    return min((each for each in both if each), key=lambda each: each.value, default=None)


def relation(
    frames: Frames, task: str, sparse_level: int, of: str, to: str, kind: str, through: int, ranks: bool = False, least: int = 3
) -> Found:
    """Give Pearson's (or Spearman's) correlation of two things over the rewind steps, on the test split."""
    x, y = (cut(curve(each, frames, task, sparse_level, kind, "test", least), through) for each in (of, to))
    if not x or not y or list(x) != list(y):
        return None
    first, second = ([point.value for point in points.values()] for points in (x, y))
    return (spearman if ranks else pearson)(first, second, fewest(x, y))


def peak_place(frames: Frames, task: str, sparse_level: int, kind: str, k: int, split: str = "test", least: int = 3) -> Found:
    """Average the positions on the line whose mean error is within a point of the highest."""
    points = evidence.path(frames, task, sparse_level, kind, split, k, least)
    if not points:
        return None
    peak = max(point.value for point in points.values())
    return Measured(statistics.fmean(alpha for alpha, point in points.items() if point.value >= peak - 1), None, fewest(points))
