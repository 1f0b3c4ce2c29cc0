"""Error along the line between two trained networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline_lib.figures.support import layout, marks, scales, selection, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from pipeline_lib.figures.support.panel import Panel

# What each figure needs (`experiments.figure_needs`), and what the report says under it.
FIGURES = {
    "paths_dense": {
        "runs": "dense_at_first_k", "tables": ["interpolation"],
        "caption": (
            "Error along the straight line between two dense networks that were trained from the same early state under "
            "different orders of SGD noise. α = 0 and α = 1 are the trained networks. Means over seeds, a seed's pairs of orders "
            "averaged first, and one standard deviation (paper B, figure 2)."
        ),
    },
    "paths_sparse": {
        "runs": "sparse_at_first_k", "tables": ["interpolation"], "sparse": True,
        "caption": (
            "Test error along the straight line between two sparse networks with one mask and one start, trained under "
            "different orders from the first rewind step. Means and standard deviations over seeds, a seed's pairs of orders "
            "averaged first (paper B, figure 6)."
        ),
    },
    "paths_dense_by_k": {
        "runs": "dense_at_every_k", "tables": ["interpolation"],
        "caption": (
            "Error along the line between dense networks, for each rewind step (paper B, appendix B)."
        ),
    },
    "paths_sparse_by_k": {
        "runs": "sparse_at_every_k", "tables": ["interpolation"], "sparse": True,
        "caption": (
            "Test error along the line between sparse networks of each kind, for each rewind step "
            "(paper B, appendix C)."
        ),
    },
}  # fmt: skip

Frames = dict[str, "pd.DataFrame"]
Levels = dict[str, int]


def _percent(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(percent=100 * frame["error"])


def _finish(axes: Panel, title: str) -> None:
    axes.set_title(title)
    axes.set_xlabel("interpolation α")
    axes.set_ylabel("error (%)")
    scales.from_zero(axes)


def _kinds(frame: pd.DataFrame) -> list[str]:
    return [kind for kind in ("imp", "random_prune", "reinit") if kind in set(frame["kind"])]


def paths_dense(frames: Frames, sparse_levels: Levels) -> Figure:
    """Error between dense networks trained from the first k: train and test."""
    frame = _percent(selection.averaged(frames["interpolation"]))
    frame = selection.at_first_k(frame[frame["level"] == 0])
    figure, panels = layout.each_task(frame)
    for axis, task, own in panels:
        for split in own["split"].unique():
            marks.line(axis, own[own["split"] == split], "alpha", "percent", style.SPLITS[split], split, marks.PERCENT)
        _finish(axis, f"{task}, k = {own['k'].min():,}")
    return figure


def paths_sparse(frames: Frames, sparse_levels: Levels) -> Figure:
    """Test error between sparse networks of each kind trained from the first k."""
    frame = _percent(selection.averaged(frames["interpolation"]))
    frame = selection.at_first_k(selection.at_sparse_level(frame[frame["split"] == "test"], sparse_levels))
    figure, panels = layout.each_task(frame)
    for axis, task, own in panels:
        for kind in _kinds(own):
            marks.line(axis, own[own["kind"] == kind], "alpha", "percent", style.LOOKS[kind], style.NAMES[kind], marks.PERCENT)
        _finish(axis, f"{task}, k = {own['k'].min():,}, {100 * own['density'].iloc[0]:.3g} %")
    return figure


def _by_k(frame: pd.DataFrame, rows: list[tuple[str, pd.DataFrame]]) -> Figure:
    """Draw a row of panels a task, one a selection; a line a rewind step."""
    looks, selected = style.steps(frame["k"].unique().tolist()), dict(rows)
    tasks = [str(task) for task in frame["task"].unique()]
    figure, panels = layout.placed([[(task, name) for name, own in rows if (own["task"] == task).any()] for task in tasks])
    for axis, (task, name) in panels:
        own = selection.where(selected[name], task=task)
        for k in sorted(own["k"].unique().tolist()):
            marks.line(axis, own[own["k"] == k], "alpha", "percent", looks[k], f"k = {k:,}", marks.PERCENT)
        _finish(axis, f"{task}, {name}")
    return figure


def paths_dense_by_k(frames: Frames, sparse_levels: Levels) -> Figure:
    """Error between dense networks for every k: a panel a split."""
    frame = _percent(selection.averaged(frames["interpolation"]))
    frame = frame[frame["level"] == 0]
    return _by_k(frame, [(split, frame[frame["split"] == split]) for split in frame["split"].unique()])


def paths_sparse_by_k(frames: Frames, sparse_levels: Levels) -> Figure:
    """Test error between sparse networks for every k: a panel a kind."""
    frame = _percent(selection.averaged(frames["interpolation"]))
    frame = selection.at_sparse_level(frame[frame["split"] == "test"], sparse_levels)
    return _by_k(frame, [(style.NAMES[kind], frame[frame["kind"] == kind]) for kind in _kinds(frame)])
