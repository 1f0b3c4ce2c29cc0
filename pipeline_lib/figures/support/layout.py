"""Panels: how many, where, and for what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from matplotlib.gridspec import SubplotSpec

    from pipeline_lib.figures.support.panel import Panel

Key = TypeVar("Key")

ACROSS = 4  # panels side by side; more go on below
_WIDTH, _HEIGHT = 3.5, 2.6  # of a panel, inches


def _panel(figure: Figure, cell: SubplotSpec) -> Panel:
    from pipeline_lib.figures.support.panel import Panel

    panel = Panel(figure, cell)
    figure.add_subplot(panel)
    return panel


def panels(num_rows: int, num_columns: int) -> tuple[Figure, list[list[Panel]]]:
    """Make a grid of panels of one size, a few side by side; where there is nothing to draw, of one panel, which will say so.

    Args:
        num_rows: rows of the grid.
        num_columns: columns; those that do not fit go on below, in rows of their own.

    Returns:
        The figure, and its panels by row and column.
    """
    import matplotlib.pyplot as plt

    num_rows, num_columns = max(1, num_rows), max(1, num_columns)
    across, blocks = min(ACROSS, num_columns), -(-num_columns // ACROSS)
    size = (_WIDTH * across + 0.6, _HEIGHT * num_rows * blocks + 0.4)
    figure = plt.figure(figsize=size, layout="constrained")
    cells = figure.add_gridspec(num_rows * blocks, across)
    return figure, [
        [_panel(figure, cells[(column // ACROSS) * num_rows + row, column % ACROSS]) for column in range(num_columns)]
        for row in range(num_rows)
    ]


def across(figure: Figure) -> int:
    """Give the number of panels side by side."""
    cells = figure.axes[0].get_subplotspec()
    return cells.get_gridspec().ncols if cells else 1


def placed(rows: Sequence[Sequence[Key]]) -> tuple[Figure, list[tuple[Panel, Key]]]:
    """Make a panel for each key, in rows of any lengths."""
    rows = [row for row in rows if row] or [[]]
    figure, axes = panels(len(rows), max(map(len, rows)))
    for row, keys in zip(axes, rows, strict=False):
        for axis in row[len(keys) :] if keys else ():
            axis.set_visible(False)
    return figure, [(axis, key) for row, keys in zip(axes, rows, strict=False) for axis, key in zip(row, keys, strict=False)]


def each_task(frame: pd.DataFrame) -> tuple[Figure, list[tuple[Panel, str, pd.DataFrame]]]:
    """Make a panel a task: the axes, the task and its rows."""
    tasks = [str(task) for task in frame["task"].unique()]
    figure, axes = panels(1, len(tasks))
    return figure, [(axis, task, frame[frame["task"] == task]) for axis, task in zip(axes[0], tasks, strict=False)]


def each_level(frame: pd.DataFrame) -> tuple[Figure, list[tuple[Panel, tuple[str, int]]]]:
    """Make a panel for each level of each task, a few in a row and about as many in each."""
    rows: list[list[tuple[str, int]]] = []
    for task, own in frame.groupby("task", sort=False):
        found = [(str(task), level) for level in sorted(own["level"].unique().tolist())]
        width = -(-len(found) // -(-len(found) // ACROSS))
        rows += [found[i : i + width] for i in range(0, len(found), width)]
    return placed(rows)


def grid(runs: pd.DataFrame, chosen: pd.DataFrame) -> tuple[Figure, list[tuple[Panel, str, int]]]:
    """Make a row of panels for each task with chosen rows, one a rewind step; where none has, for each task's last step."""
    chosen = chosen if len(chosen) else runs[runs["k"] == runs.groupby("task")["k"].transform("max")]
    by_task = chosen.groupby("task", sort=False)
    figure, axes = placed([[(str(task), k) for k in sorted(own["k"].unique().tolist())] for task, own in by_task])
    return figure, [(axis, task, k) for axis, (task, k) in axes]
