"""Panels and legends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

from pipeline_lib.figures.support import style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Key = TypeVar("Key")


def panels(num_rows: int, num_columns: int) -> tuple[Figure, list[list[Axes]]]:
    """Make a grid of panels of one size; where there is nothing to draw, of one panel, which will say so."""
    import matplotlib.pyplot as plt

    num_rows, num_columns = max(1, num_rows), max(1, num_columns)
    size = (3.6 * num_columns + 0.6, 2.7 * num_rows + 0.4)
    figure, axes = plt.subplots(num_rows, num_columns, figsize=size, squeeze=False, layout="constrained")
    return figure, [list(row) for row in axes]


def placed(rows: Sequence[Sequence[Key]]) -> tuple[Figure, list[tuple[Axes, Key]]]:
    """Make a panel for each key, in rows of any lengths."""
    rows = [row for row in rows if row] or [[]]
    figure, axes = panels(len(rows), max(map(len, rows)))
    for row, keys in zip(axes, rows, strict=False):
        for axis in row[len(keys) :] if keys else ():
            axis.set_visible(False)
    return figure, [(axis, key) for row, keys in zip(axes, rows, strict=False) for axis, key in zip(row, keys, strict=False)]


def each_level(frame: pd.DataFrame, most: int = 5) -> tuple[Figure, list[tuple[Axes, tuple[str, int]]]]:
    """Make a panel for each level of each task, at most so many in a row and about as many in each."""
    rows: list[list[tuple[str, int]]] = []
    for task, own in frame.groupby("task", sort=False):
        found = [(str(task), level) for level in sorted(own["level"].unique().tolist())]
        width = -(-len(found) // -(-len(found) // most))
        rows += [found[i : i + width] for i in range(0, len(found), width)]
    return placed(rows)


def grid(runs: pd.DataFrame, chosen: pd.DataFrame) -> tuple[Figure, list[tuple[Axes, str, int]]]:
    """Make a column of panels for each task with chosen rows, one a rewind step; where none has, for each task's last step."""
    chosen = chosen if len(chosen) else runs[runs["k"] == runs.groupby("task")["k"].transform("max")]
    steps = {task: sorted(own["k"].unique().tolist()) for task, own in chosen.groupby("task", sort=False)}
    figure, axes = panels(max(map(len, steps.values()), default=0), len(steps))
    for column, ks in enumerate(steps.values()):
        for row in axes[len(ks) :]:
            row[column].set_visible(False)
    return figure, [(axes[i][column], str(task), k) for column, (task, ks) in enumerate(steps.items()) for i, k in enumerate(ks)]


def legend_below(figure: Figure) -> None:
    """Add one legend for all panels below them, in as many columns as fit."""
    found = {label: handle for axes in figure.axes for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    num_columns = max(1, int(figure.get_figwidth() / (0.5 + 0.055 * max(map(len, found), default=0))))
    figure.set_figheight(figure.get_figheight() + 0.16 * -(-len(found) // num_columns))
    figure.legend(found.values(), found.keys(), loc="outside lower center", ncols=num_columns, fontsize=style.SMALL)
