"""How much was trained and compared, and what the tasks are: counted, not estimated."""

from __future__ import annotations

from typing import Literal

from pipeline_lib.claims import evidence
from pipeline_lib.claims.evidence import Evidence, Missing
from pipeline_lib.claims.rules import Measured


def _constant(ev: Evidence, column: str) -> Measured:
    """A number that all runs of a task share."""
    values = ev.rows("runs")[column]
    if values.nunique() != 1 or values.isna().any():
        raise Missing(f"one {column} of all runs")
    return ev.counted(float(values.iloc[0]), len(values))


def num_params(ev: Evidence) -> Measured:
    """Count the trainable parameters of the dense network."""
    return _constant(ev, "num_params")


def training_steps(ev: Evidence) -> Measured:
    """Give the step at which training ends."""
    return _constant(ev, "steps")


def density(ev: Evidence, level: int) -> Measured:
    """Average the share of weights, in percent, that are left at a level of the ladder."""
    own = evidence.ladder(ev, "imp")
    values = own[own["level"] == level]["density"]
    if not len(values):
        raise Missing(f"level {level}")
    return ev.counted(100 * float(values.mean()), len(values))


def num_pairs(ev: Evidence) -> Measured:
    """Count the pairs of the setting of the instability table that has the fewest."""
    frame = ev.rows("instability")
    keys = ["kind", "k", "level", "split", *(["batchnorm"] if "batchnorm" in frame else [])]
    sizes = frame.groupby(keys).size()
    return ev.counted(float(sizes.min()), len(sizes))


def num_points(ev: Evidence) -> Measured:
    """Count the points on the line of the pair that has the fewest."""
    keys = ["seed", "order_1", "order_2", "kind", "k", "level", "split"]
    points = ev.rows("interpolation").groupby(keys)["alpha"].nunique()
    return ev.counted(float(points.min()), len(points))


def num_seeds(ev: Evidence) -> Measured:
    """Count the seeds of the point of the runs, from plain and changed starts, that has the fewest."""
    found: list[int] = []
    for name in {"runs", "changed_runs"} & set(ev.frames):
        own = ev.frames[name]
        keys = ["kind", "k", "level", *(["start"] if "start" in own else [])]
        found += own.groupby(keys)["seed"].nunique().tolist()
    if not found:
        raise Missing("rows of runs")
    return ev.counted(float(min(found)), len(found))


def recipe(ev: Evidence, column: Literal["lr", "batch_size"]) -> Measured:
    """Give a number of the recipe: the peak learning rate, or the examples a batch."""
    values = ev.rows("networks")[column]
    if values.isna().any():
        raise Missing(column)
    return ev.counted(float(values.mean()), len(values))
