"""Test error in planes through a ladder's solutions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline_lib.analysis.sublevel_sets import Landscape, on_grid
from pipeline_lib.figures.support import layout, samples, selection, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.contour import QuadContourSet
    from matplotlib.figure import Figure

    from pipeline_lib.figures.support.panel import Panel

# What each figure needs (`experiments.figure_needs`), and what the report says under it.
FIGURES = {
    "pruning_planes": {
        "runs": "ladder_and_dense", "tables": ["planes", "marks", "sets"], "sparse": True, "option": "planes",
        "measures": ["planes_of_pruning"],
        "caption": (
            "Test error in the plane through a solution, the same pruned without training (projection) and the solution "
            "of the next level, a panel a level, for the first seed at the last rewind step. Networks on the horizontal "
            "dashed line have the next level's mask. Grey: where the error is the dense mean plus one standard deviation; "
            "black: the points below that error which a straight line below it joins to the solution. Axes are distances "
            "between weights, the vertical one at twice the scale; colours are finer where the error is low (paper C, "
            "figures 3, 13 and 14)."
        ),
    },
    "direction_planes": {
        "runs": "ladder_and_dense", "tables": ["planes", "marks", "sets"], "sparse": True, "option": "planes",
        "measures": ["planes_of_directions"],
        "caption": (
            "Test error around a solution in the plane of two directions: to where pruning its smallest weights leads "
            "(orange), and to where pruning random ones leads (purple). A panel a level, for the first seed at the last "
            "rewind step; equal scales. Grey: where the error is the dense mean plus one standard deviation; black: the "
            "points below that error which a straight line below it joins to the solution (paper C, figures 6, 16 and "
            "17)."
        ),
    },
}  # fmt: skip

Frames = dict[str, "pd.DataFrame"]
Levels = dict[str, int]

_PRUNING = {  # mark: label, colour, marker
    "solution": ("solution", "0.7", "^"),
    "projection": ("projection", "#E69F00", "X"),
    "next": ("next solution", "#E69F00", "^"),
}
_DIRECTIONS = {  # mark: label, colour, dash
    "magnitude": ("smallest weights pruned", "#E69F00", style.SOLID),
    "random": ("random weights pruned", "#CC79A7", style.DASHED),
}
_SUBSPACE = "#CC79A7"
_OUTLINES = (("dense error + 1 sd", "0.8", "-", 1.2), ("linearly connected to the solution", "black", "--", 1.2))
_NUM_SHADES = 16


def _first_seed(frame: pd.DataFrame, plane: str) -> pd.DataFrame:
    """Keep one kind of plane, at each task's last rewind step and first seed; errors in percent."""
    rows = selection.at_last_k(selection.where(frame, plane=plane))
    rows = rows[rows["seed"] == rows.groupby("task")["seed"].transform("min")]
    return rows.assign(test_error=100 * rows["test_error"]) if "test_error" in rows else rows


def _place(marks: pd.DataFrame, name: str) -> tuple[float, float]:
    """Give the coordinates of a mark of one plane."""
    mark = selection.where(marks, mark=name).iloc[0]
    return float(mark["x"]), float(mark["y"])


def _contours(axes: Panel, land: Landscape, bounds: np.ndarray, threshold: float) -> QuadContourSet:
    """Draw the error as filled contours, finer where it is low, a line where it is the threshold, and the solution's set.

    Outside of that set, lower errors are reflected at the threshold, so that the set alone is below it.
    """
    from matplotlib.colors import PowerNorm

    norm = PowerNorm(0.5, bounds[0], bounds[-1])
    filled = axes.contourf(land.x, land.y, land.errors, levels=bounds, norm=norm, cmap="viridis")
    beyond = threshold + np.abs(land.errors - threshold)
    connected = np.where(land.sublevel_set(threshold), land.errors, beyond)
    for errors, (_, colour, dash, width) in zip((land.errors, connected), _OUTLINES, strict=True):
        if errors.min() < threshold < errors.max():
            axes.contour(land.x, land.y, errors, levels=[threshold], colors=colour, linewidths=width, linestyles=[dash])
    return filled


def _draw(frames: Frames, plane: str, aspect: float) -> tuple[Figure, list[tuple[Panel, pd.DataFrame]]]:
    """Draw the error of a panel a level, its vertical axis at so many times the scale; give each panel and its marks."""
    planes, marks, sets = (_first_seed(frames[name], plane) for name in ("planes", "marks", "sets"))
    figure, panels = layout.each_level(planes)
    if len(planes):
        wide, high = (float(np.ptp(planes[axis])) for axis in ("x", "y"))
        figure.set_figwidth(layout.across(figure) * (1.2 + min(max(2.0 * wide / high / aspect, 1.0), 2.4)) + 0.8)
    for task in planes["task"].unique():
        whole = selection.where(planes, task=task)
        low = whole["test_error"].min()
        high = max(whole["test_error"].max(), low + 0.1)  # where the error is the same everywhere
        bounds = low + (high - low) * np.linspace(0, 1, _NUM_SHADES) ** 2
        own = {level: axis for axis, (of, level) in panels if of == task}
        for level, axis in own.items():
            threshold = 100 * float(selection.where(sets, task=task, level=level)["threshold"].mean())
            land = on_grid(selection.where(whole, level=level), selection.where(marks, task=task, level=level))
            filled = _contours(axis, land, bounds, threshold)
            axis.set_title(f"{task}, level {level}")
            axis.set_aspect(aspect)
            axis.locator_params(nbins=4)
            samples.count(axis, "seed", 1)
            for label, colour, dash, width in _OUTLINES:
                axis.plot([], [], color=colour, linestyle=dash, linewidth=width, label=label)
        figure.colorbar(filled, ax=list(own.values()), label="test error (%)", format="%.3g", aspect=40)
    return figure, [(axis, selection.where(marks, task=task, level=level)) for axis, (task, level) in panels]


def pruning_planes(frames: Frames, sparse_levels: Levels) -> Figure:
    """Test error in the plane of a solution, its projection and the next solution, a panel a level, for the first seed."""
    figure, panels = _draw(frames, "pruning", 2.0)
    for axis, marks in panels:
        axis.axhline(0, color=_SUBSPACE, linestyle=style.DASHED, label="axial subspace")
        for name, (label, colour, marker) in _PRUNING.items():
            x, y = _place(marks, name)
            axis.plot([x], [y], color=colour, marker=marker, markersize=8, linestyle="", markeredgecolor="white", label=label)
        axis.set_xlabel("towards the next solution")
        axis.set_ylabel("across")
    return figure


def direction_planes(frames: Frames, sparse_levels: Levels) -> Figure:
    """Test error around a solution in the plane of two ways to prune it, a panel a level, for the first seed."""
    figure, panels = _draw(frames, "directions", 1.0)
    for axis, marks in panels:
        start = _place(marks, "solution")
        for name, (label, colour, dash) in _DIRECTIONS.items():
            end = _place(marks, name)
            axis.plot(*zip(start, end, strict=True), color=colour, linestyle=dash, label=label)
            arrow = {"arrowstyle": "-|>", "color": colour, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 14, "linewidth": 1.6}
            axis.annotate("", end, start, arrowprops=arrow)
        axis.set_xlabel("smallest weights")
        axis.set_ylabel("random weights")
    return figure
