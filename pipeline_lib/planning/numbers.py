"""The main numbers of an experiment in a few lines: error and instability with their intervals over seeds, and onsets."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pipeline_lib.claims import estimates
from pipeline_lib.tables import tabulation

if TYPE_CHECKING:
    import pandas as pd

LEVEL = 0.95  # of intervals
MOST = 6  # lines
_HEAD = "main numbers, with 95 % intervals over seeds:"
_HAS = {"stability": "stable", "matching": "matching"}


def _interval(by_seed: Mapping[Any, float], unit: str) -> str:
    """Write the mean over seeds in percent, with Student's interval; one seed has none."""
    found = estimates.mean(by_seed)(LEVEL)
    ends = f" ({100 * found.low:.3g} to {100 * found.high:.3g})" if math.isfinite(found.low) else ""
    return f"{100 * found.value:.3g} {unit}{ends}"


def _by_seed(frame: pd.DataFrame, column: str) -> dict[Any, float]:
    """Average over orders and pairs of each seed; nothing if a value is missing."""
    return {} if frame.empty or frame[column].isna().any() else frame.groupby("seed")[column].mean().to_dict()


def _error(runs: pd.DataFrame, k: int) -> Iterator[str]:
    found = _by_seed(runs[runs["k"] == k], "test_error")
    if found:
        yield f"test error {_interval(found, '%')}"


def _instability(pairs: pd.DataFrame, steps: list[int]) -> Iterator[str]:
    """Write instability from the first rewind step and from the last."""
    by_step = {k: _by_seed(pairs[pairs["k"] == k], "instability") for k in dict.fromkeys([steps[0], steps[-1]])}
    found = [f"{_interval(values, 'points')} from k = {k}" for k, values in by_step.items() if values]
    if found:
        yield f"instability {' and '.join(found)}"


def _onsets(onsets: pd.DataFrame) -> Iterator[str]:
    row: Any
    for row in onsets.itertuples():
        ends = f" ({row.low:g} to {row.high:g})" if row.low == row.low and row.high == row.high else ""
        yield f"{_HAS[str(row.of)]} from k = {row.k:g}{ends}" if row.k == row.k else f"not {_HAS[str(row.of)]} at the last k"


def _of(frame: pd.DataFrame | None, **values: Any) -> pd.DataFrame | None:
    """Keep the rows with these values, in the columns that the table has; None where nothing is left."""
    if frame is None:
        return None
    for name, value in values.items():
        frame = frame[frame[name] == value] if name in frame else frame
    return None if frame.empty else frame


def _line(tables: Mapping[str, pd.DataFrame], task: str, kind: str) -> str | None:
    """Write what is known of a task's dense networks, or of IMP's at the level whose stability is measured, else the last."""
    runs = _of(tables.get("runs"), task=task, kind=kind, change="", strategy="", rule="")
    pairs = _of(tables.get("instability"), task=task, kind=kind, split="test", batchnorm="averaged")
    one = next((each for each in (pairs, runs) if each is not None), None)
    if one is None:
        return None
    level = int(one["level"].max())
    steps = sorted(one[one["level"] == level]["k"].unique().tolist())
    runs, pairs = _of(runs, level=level), _of(pairs, level=level)
    parts = [*(_error(runs, steps[-1]) if runs is not None else ()), *(_instability(pairs, steps) if pairs is not None else ())]
    onsets = _of(tables.get("onsets"), task=task, kind=kind, level=level)
    parts += _onsets(onsets) if onsets is not None and len(steps) > 1 else []
    kept = f" {100 * runs['density'].mean():.3g} %" if level and runs is not None else ""
    name = "dense" if kind == "dense" else f"{kind.upper()}{kept}"
    return f"  {task}, {name}: {', '.join(parts)}" if parts else None


def lines(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """Write the main numbers of an experiment's tables, a line for dense networks of each task and one for IMP's.

    Args:
        tables: `runs`, `instability` and `onsets`, those that there are.
    """
    tables = {name: tabulation.as_trained(table) for name, table in tables.items()}
    tasks = [task for name in ("runs", "instability") if name in tables for task in tables[name]["task"].unique()]
    found = [line for task in dict.fromkeys(tasks) for kind in ("dense", "imp") if (line := _line(tables, str(task), kind))]
    more = [f"  and {len(found) - MOST} lines more of other tasks, in the tables"] if len(found) > MOST else []
    return [*([_HEAD] if found else []), *found[:MOST], *more]
