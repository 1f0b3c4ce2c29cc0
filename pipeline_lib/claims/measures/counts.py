"""How much was trained and compared, and what the tasks are."""

from __future__ import annotations

from typing import Literal

from pipeline_lib.claims import evidence
from pipeline_lib.claims.evidence import Found, Frames, Measured


def _constant(frames: Frames, task: str, column: str) -> Found:
    """A number that all runs of a task share."""
    values = frames["runs"][frames["runs"]["task"] == task][column] if "runs" in frames else ()
    return Measured(float(max(values)), None, len(values)) if len(set(values)) == 1 else None


def num_params(frames: Frames, task: str, sparse_level: int) -> Found:
    """Count the trainable parameters of the dense network."""
    return _constant(frames, task, "num_params")


def training_steps(frames: Frames, task: str, sparse_level: int) -> Found:
    """Give the step at which training ends."""
    return _constant(frames, task, "steps")


def density(frames: Frames, task: str, sparse_level: int, level: int) -> Found:
    """Average the share of weights, in percent, that are left at a level of the ladder."""
    own = evidence.ladder(frames, task, "imp")
    return None if own is None else evidence.average(100 * own[own["level"] == level]["density"], 1)


def num_pairs(frames: Frames, task: str, sparse_level: int) -> Found:
    """Count the pairs of the setting of the instability table that has the fewest."""
    frame = frames.get("instability")
    if frame is None or not (frame["task"] == task).any():
        return None
    keys = ["kind", "k", "level", "split", *(["batchnorm"] if "batchnorm" in frame else [])]
    sizes = frame[frame["task"] == task].groupby(keys).size()
    return Measured(float(sizes.min()), None, len(sizes))


def num_points(frames: Frames, task: str, sparse_level: int) -> Found:
    """Count the points on the line of the pair that has the fewest."""
    frame = frames.get("interpolation")
    if frame is None or not (frame["task"] == task).any():
        return None
    keys = ["seed", "order_1", "order_2", "kind", "k", "level", "split"]
    points = frame[frame["task"] == task].groupby(keys)["alpha"].nunique()
    return Measured(float(points.min()), None, len(points))


def num_seeds(frames: Frames, task: str, sparse_level: int) -> Found:
    """Count the seeds of the point of the runs, from plain and changed starts, that has the fewest."""
    found: list[int] = []
    for name in {"runs", "changed_runs"} & set(frames):
        own = frames[name][frames[name]["task"] == task]
        keys = ["kind", "k", "level", *(["start"] if "start" in own else [])]
        found += own.groupby(keys)["seed"].nunique().tolist()
    return Measured(float(min(found)), None, len(found)) if found else None


def recipe(frames: Frames, task: str, sparse_level: int, column: Literal["lr", "batch_size"]) -> Found:
    """Give a number of the recipe: the peak learning rate, or the examples a batch."""
    frame = frames.get("networks")
    return None if frame is None else evidence.average(frame[frame["task"] == task][column], 1)
