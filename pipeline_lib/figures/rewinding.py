"""Instability, accuracy and distance against the rewind step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline_lib import figure_style as style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Frames = dict[str, "pd.DataFrame"]


def _place(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[int]]:
    """Add each row's position on an evenly spaced axis of rewind steps."""
    steps = sorted(frame["k"].unique().tolist())
    return frame.assign(place=frame["k"].map({k: i for i, k in enumerate(steps)})), steps


def _finish(axes: Axes, title: str, label: str, steps: list[int]) -> None:
    axes.set_title(title)
    axes.set_ylabel(label)
    style.rewind_axis(axes, steps)
    axes.legend()


def _kinds(frame: pd.DataFrame, sparse_level: int) -> list[tuple[str, pd.DataFrame]]:
    """Select the rows of each kind of sparse network and of dense ones, in drawing order."""
    sparse = frame[frame["level"] == sparse_level]
    found = [(kind, sparse[sparse["kind"] == kind]) for kind in ("imp", "random_prune", "reinit")]
    return [(kind, rows) for kind, rows in [*found, ("dense", frame[frame["level"] == 0])] if len(rows)]


def _by_kind(axes: Axes, frame: pd.DataFrame, sparse_level: int, y: str) -> None:
    for kind, rows in _kinds(frame, sparse_level):
        style.line(axes, rows, "place", y, style.COLOURS[kind], style.NAMES[kind], "o")


def instability_dense(frames: Frames, sparse_level: int) -> Figure:
    """Instability of dense networks against k: train and test."""
    frame, steps = _place(frames["instability"])
    frame = frame[frame["level"] == 0].assign(percent=100 * frame["instability"])
    tasks = list(frame["task"].unique())
    figure, axes = style.panels(1, len(tasks))
    for axis, task in zip(axes[0], tasks, strict=True):
        for split in frame["split"].unique():
            chosen = frame[(frame["task"] == task) & (frame["split"] == split)]
            style.line(axis, chosen, "place", "percent", style.SPLITS[split], split, "o")
        _finish(axis, task, "instability (points)", steps)
    return figure


def instability_sparse(frames: Frames, sparse_level: int) -> Figure:
    """Test instability (above) and test accuracy (below) against k for each kind of sparse network."""
    frame, steps = _place(frames["instability"])
    frame = frame[frame["split"] == "test"].assign(percent=100 * frame["instability"])
    runs, _ = _place(frames["runs"].assign(percent=100 * (1 - frames["runs"]["test_error"])))
    tasks = list(frame["task"].unique())
    figure, axes = style.panels(2, len(tasks))
    for column, task in enumerate(tasks):
        _by_kind(axes[0][column], frame[frame["task"] == task], sparse_level, "percent")
        _finish(axes[0][column], task, "test instability (points)", steps)
        own = runs[runs["task"] == task]
        style.dense_band(axes[1][column], own[own["level"] == 0]["percent"])
        _by_kind(axes[1][column], own[own["level"] > 0], sparse_level, "percent")
        density = 100 * own[own["level"] == sparse_level]["density"].iloc[0]
        _finish(axes[1][column], f"{task}, {density:.3g} %", "test accuracy (%)", steps)
    return figure


def distance_dense(frames: Frames, sparse_level: int) -> Figure:
    """L2 distance between dense networks against k."""
    frame, steps = _place(frames["instability"])
    frame = frame[(frame["level"] == 0) & (frame["split"] == frame["split"].iloc[0])]
    tasks = list(frame["task"].unique())
    figure, axes = style.panels(1, len(tasks))
    for axis, task in zip(axes[0], tasks, strict=True):
        style.line(axis, frame[frame["task"] == task], "place", "l2_params", style.COLOURS["dense"], "dense", "o")
        axis.set_ylim(bottom=0)
        _finish(axis, task, "L2 distance", steps)
    return figure


def distance_sparse(frames: Frames, sparse_level: int) -> Figure:
    """L2 distance between sparse networks of each kind against k."""
    frame, steps = _place(frames["instability"])
    frame = frame[frame["split"] == frame["split"].iloc[0]]
    tasks = list(frame["task"].unique())
    figure, axes = style.panels(1, len(tasks))
    for axis, task in zip(axes[0], tasks, strict=True):
        _by_kind(axis, frame[frame["task"] == task], sparse_level, "l2_params")
        axis.set_ylim(bottom=0)
        _finish(axis, task, "L2 distance", steps)
    return figure
