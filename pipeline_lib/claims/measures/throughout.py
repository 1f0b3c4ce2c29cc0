"""Instability throughout training."""

from __future__ import annotations

import statistics

from pipeline_lib.claims import evidence
from pipeline_lib.claims.evidence import Found, Frames, fewest, pearson, spearman

_LEAST_STEPS = 10  # of a run that is followed throughout training


def throughout_highest(frames: Frames, task: str, sparse_level: int, k: int, least: int = 3) -> Found:
    """Give the largest mean test instability at any step of training of the dense networks from step k."""
    points = evidence.followed(frames, task, "instability", k, least)
    return max(points.values(), key=lambda point: point.value) if len(points) >= _LEAST_STEPS else None


def throughout_mirrors_error(frames: Frames, task: str, sparse_level: int, k: int, least: int = 3) -> Found:
    """Correlate mean test instability with minus the mean test error over the steps of training."""
    x, y = (evidence.followed(frames, task, column, k, least) for column in ("instability", "mean_end_error"))
    if min(len(x), len(y)) < _LEAST_STEPS:
        return None
    return pearson([point.value for point in x.values()], [-y[step].value for step in x], fewest(x, y))


def throughout_trend(frames: Frames, task: str, sparse_level: int, through: int, least: int = 3) -> Found:
    """Give Spearman's correlation of the rewind step with instability, averaged over the steps that all have in common."""
    rows = evidence.select(frames, "throughout", task, 0, "dense", "test")
    steps = [] if rows is None else sorted(k for k in rows["k"].unique().tolist() if k <= through)
    found = [evidence.followed(frames, task, "instability", k, least) for k in steps]
    common = set[int].intersection(*map(set, found)) if found else set()
    if not {0, through} <= set(steps) or len(common) < _LEAST_STEPS:
        return None
    means = [statistics.fmean(points[step].value for step in common) for points in found]
    return spearman(steps, means, fewest(*found))
