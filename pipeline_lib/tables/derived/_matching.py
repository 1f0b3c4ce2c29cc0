"""Which test error still matches that of dense networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def matching_error(runs: pd.DataFrame, task: str, k: int) -> float:
    """Compute the highest error that matches: the mean of dense networks, plus one deviation over seeds where there are several.

    Args:
        runs: the runs from plain starts.
        task: name of the task.
        k: rewind step of the dense runs.

    Returns:
        The error, NaN if there is no dense run.

    Source: paper C, definition 2.2.
    """
    dense = runs[(runs["task"] == task) & (runs["kind"] == "dense") & (runs["k"] == k)]
    errors = dense[dense["order"] == dense["order"].min()]["test_error"].dropna()
    return float(errors.mean() + (errors.std() if len(errors) > 1 else 0.0))
