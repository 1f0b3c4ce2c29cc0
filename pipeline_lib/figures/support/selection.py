"""Which rows a figure shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from pipeline_lib.tables import rules

if TYPE_CHECKING:
    import pandas as pd


def averaged(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep the rows whose BatchNorm statistics are averaged like weights; the other variant is a row of its own in the tables."""
    return frame[frame["batchnorm"] == "averaged"]


def at_first_k(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep each task's rows at its first rewind step."""
    return frame[frame["k"] == frame.groupby("task")["k"].transform("min")]


def at_last_k(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep each task's rows at its last rewind step."""
    return frame[frame["k"] == frame.groupby("task")["k"].transform("max")]


def at_sparse_level(frame: pd.DataFrame, sparse_levels: Mapping[str, int]) -> pd.DataFrame:
    """Keep each task's rows at its sparse level."""
    return frame[frame["level"] == frame["task"].map(dict(sparse_levels))]


def where(frame: pd.DataFrame, **values: object) -> pd.DataFrame:
    """Keep the rows that have these values."""
    for name, value in values.items():
        frame = frame[frame[name] == value]
    return frame


def spread_out(values: Iterable[int], most: int) -> list[int]:
    """Choose at most so many of the values, the first and the last among them, evenly spaced."""
    found = sorted(set(values))
    steps = min(most, len(found)) - 1
    return [found[round(i * (len(found) - 1) / max(1, steps))] for i in range(steps + 1)]


def ladders(runs: pd.DataFrame) -> pd.DataFrame:
    """Keep the ladder's own order; add accuracies, errors and densities in percent, equal ones (to rounding) at one place."""
    own = runs[runs["noise_order"] == runs["noise_order"].min()]
    densities = own.groupby(["task", "level"])["density"].transform("mean")
    return own.assign(accuracy=100 * (1 - own["test_error"]), error=100 * own["test_error"], percent=100 * densities)


def every_start(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Join the ladders' runs from plain and changed starts.

    A change may prune further, so densities are equal only within one.
    """
    import pandas as pd

    runs = ladders(pd.concat([frames["runs"], frames["changed_runs"]]))
    return runs.assign(percent=100 * runs.groupby(["task", "change", "level"])["density"].transform("mean"))


def dense_errors(runs: pd.DataFrame, task: str) -> pd.Series:
    """Give the errors, in percent, of a task's dense reference: one network a seed, in every figure the same."""
    return 100 * rules.dense(runs[runs["task"] == task])["test_error"]
