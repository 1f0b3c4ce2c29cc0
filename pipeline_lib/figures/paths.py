"""Error along the line between two trained networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline_lib.figures.support import layout, marks, selection, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# What each figure needs (`experiments.figure_needs`), and what the report says under it.
FIGURES = {
    "paths_dense": {
        "runs": "dense_at_first_k", "tables": ["interpolation"],
        "caption": (
            "Error along the straight line between two dense networks that were trained from the same early state under "
            "different orders of SGD noise. α = 0 and α = 1 are the trained networks. Lines are means over all seeds and "
            "pairs of orders, bands one standard deviation (paper B, figure 2)."
        ),
    },
    "paths_sparse": {
        "runs": "sparse_at_first_k", "tables": ["interpolation"], "sparse": True,
        "caption": (
            "Test error along the straight line between two sparse networks with one mask and one start, trained under "
            "different orders from the first rewind step. Means and standard deviations over all seeds and pairs of "
            "orders (paper B, figure 6)."
        ),
    },
    "paths_dense_by_k": {
        "runs": "dense_at_every_k", "tables": ["interpolation"],
        "caption": (
            "Error along the line between dense networks, for each rewind step; later steps are darker (paper B, appendix "
            "B)."
        ),
    },
    "paths_sparse_by_k": {
        "runs": "sparse_at_every_k", "tables": ["interpolation"], "sparse": True,
        "caption": (
            "Test error along the line between sparse networks of each kind, for each rewind step; later steps are darker "
            "(paper B, appendix C)."
        ),
    },
}  # fmt: skip

Frames = dict[str, "pd.DataFrame"]
Levels = dict[str, int]


def _percent(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(percent=100 * frame["error"])


def _finish(axes: Axes, title: str) -> None:
    axes.set_title(title)
    axes.set_xlabel("interpolation α")
    axes.set_ylabel("error (%)")
    axes.set_ylim(bottom=0)
    axes.legend()


def _kinds(frame: pd.DataFrame) -> list[str]:
    return [kind for kind in ("imp", "random_prune", "reinit") if kind in set(frame["kind"])]


def paths_dense(frames: Frames, sparse_levels: Levels) -> Figure:
    """Error between dense networks trained from the first k: train and test."""
    frame = _percent(selection.averaged(frames["interpolation"]))
    frame = selection.at_first_k(frame[frame["level"] == 0])
    tasks = list(frame["task"].unique())
    figure, axes = layout.panels(1, len(tasks))
    for axis, task in zip(axes[0], tasks, strict=False):
        for split in frame["split"].unique():
            chosen = frame[(frame["task"] == task) & (frame["split"] == split)]
            marks.line(axis, chosen, "alpha", "percent", style.SPLITS[split], split)
        _finish(axis, f"{task}, k = {chosen['k'].min()}")
    return figure


def paths_sparse(frames: Frames, sparse_levels: Levels) -> Figure:
    """Test error between sparse networks of each kind trained from the first k."""
    frame = _percent(selection.averaged(frames["interpolation"]))
    frame = selection.at_first_k(selection.at_sparse_level(frame[frame["split"] == "test"], sparse_levels))
    tasks = list(frame["task"].unique())
    figure, axes = layout.panels(1, len(tasks))
    for axis, task in zip(axes[0], tasks, strict=False):
        for kind in _kinds(frame):
            chosen = frame[(frame["task"] == task) & (frame["kind"] == kind)]
            marks.line(axis, chosen, "alpha", "percent", style.COLOURS[kind], style.NAMES[kind])
        _finish(axis, f"{task}, k = {chosen['k'].min()}, {100 * chosen['density'].iloc[0]:.3g} %")
    return figure


def _by_k(frame: pd.DataFrame, rows: list[tuple[str, pd.DataFrame, str]]) -> Figure:
    """Draw a row of panels a selection and a column a task; a line a rewind step, darker with later k."""
    tasks, steps = list(frame["task"].unique()), sorted(frame["k"].unique())
    figure, axes = layout.panels(len(rows), len(tasks))
    for row, (name, selected, colour) in zip(axes, rows, strict=False):
        for axis, task in zip(row, tasks, strict=False):
            for k, shade in zip(steps, style.shades(len(steps), colour), strict=True):
                chosen = selected[(selected["task"] == task) & (selected["k"] == k)]
                if len(chosen):
                    marks.line(axis, chosen, "alpha", "percent", shade, f"k = {k}")
            _finish(axis, f"{task}, {name}")
    return figure


def paths_dense_by_k(frames: Frames, sparse_levels: Levels) -> Figure:
    """Error between dense networks for every k: a row a split."""
    frame = _percent(selection.averaged(frames["interpolation"]))
    frame = frame[frame["level"] == 0]
    return _by_k(frame, [(s, frame[frame["split"] == s], style.SPLITS[s]) for s in frame["split"].unique()])


def paths_sparse_by_k(frames: Frames, sparse_levels: Levels) -> Figure:
    """Test error between sparse networks for every k: a row a kind."""
    frame = _percent(selection.averaged(frames["interpolation"]))
    frame = selection.at_sparse_level(frame[frame["split"] == "test"], sparse_levels)
    return _by_k(frame, [(style.NAMES[k], frame[frame["kind"] == k], style.COLOURS[k]) for k in _kinds(frame)])
