"""Instability, accuracy and distance against the rewind step."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pipeline_lib.figures.support import gaps, layout, marks, scales, selection, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# What each figure needs (`experiments.figure_needs`), and what the report says under it.
FIGURES = {
    "instability_dense": {
        "runs": "dense_at_every_k", "tables": ["instability"],
        "caption": (
            "Instability of dense networks, the highest error on the line minus the mean error of its ends, against the "
            "step k at which the copies part. Means and standard deviations over all seeds and pairs of orders; points are "
            "hollow where networks are near chance, so that little instability means nothing (paper B, figure 3)."
        ),
    },
    "instability_sparse": {
        "runs": "sparse_at_every_k", "tables": ["instability", "runs"], "sparse": True,
        "caption": (
            "Above: test instability against the rewind step for three kinds of sparse network, and for dense ones. "
            "Below: test accuracy of the same sparse networks; the dashed line and grey band are the dense network from the "
            "first rewind step. Means and standard deviations over all seeds, and pairs of orders or orders; above, points "
            "are hollow where networks are near chance, so that little instability means nothing (paper B, figure 7)."
        ),
    },
    "distance_dense": {
        "runs": "dense_at_every_k", "tables": ["distances"],
        "caption": (
            "L2 distance over all trainable parameters between dense networks, against the rewind step (paper B, appendix "
            "D)."
        ),
    },
    "distance_sparse": {
        "runs": "sparse_at_every_k", "tables": ["distances"], "sparse": True,
        "caption": (
            "L2 distance over all trainable parameters between sparse networks of each kind, and between dense ones, "
            "against the rewind step (paper B, appendix E)."
        ),
    },
    "instability_throughout": {
        "runs": "dense_throughout", "tables": ["throughout"], "option": "throughout",
        "caption": (
            "Instability throughout training (paper B, figure 4). The states of two copies at the same step are "
            "interpolated at steps along training: above the test instability, below the mean test error of the two. "
            "Lines are rewind steps; means over all pairs, bands of one standard deviation; points are hollow where networks "
            "are near chance."
        ),
    },
    "instability_by_layer": {
        "runs": "dense_at_every_k", "tables": ["layers"], "option": "layerwise",
        "caption": (
            "Error that arises when one block at a time moves from a dense run to another one from the same state at step "
            "k, all other blocks staying: highest test error on the way less that of the first run. Means and standard "
            "deviations over all seeds and pairs of orders."
        ),
    },
}  # fmt: skip

Frames = dict[str, "pd.DataFrame"]
Levels = dict[str, int]


def _place(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[int]]:
    """Add each row's position on an evenly spaced axis of rewind steps."""
    steps = sorted(frame["k"].unique().tolist())
    return frame.assign(place=frame["k"].map({k: i for i, k in enumerate(steps)})), steps


def _finish(axes: Axes, title: str, label: str, steps: list[int]) -> None:
    axes.set_title(title)
    axes.set_ylabel(label)
    scales.rewind_axis(axes, steps)
    axes.legend()


def _kinds(frame: pd.DataFrame, sparse_levels: Levels) -> list[tuple[str, pd.DataFrame]]:
    """Select the rows of each kind of sparse network and of dense ones, in drawing order."""
    sparse = selection.at_sparse_level(frame, sparse_levels)
    found = [(kind, sparse[sparse["kind"] == kind]) for kind in ("imp", "random_prune", "reinit")]
    return [(kind, rows) for kind, rows in [*found, ("dense", frame[frame["level"] == 0])] if len(rows)]


def _by_kind(axes: Axes, frame: pd.DataFrame, sparse_levels: Levels, y: str) -> None:
    for kind, rows in _kinds(frame, sparse_levels):
        marks.line(axes, rows, "place", y, style.COLOURS[kind], style.NAMES[kind], "o")
        if "headroom" in rows and y == "percent":
            gaps.hollow_near_chance(axes, rows, "place", y, style.COLOURS[kind])


def instability_dense(frames: Frames, sparse_levels: Levels) -> Figure:
    """Instability of dense networks against k: train and test."""
    frame = selection.averaged(frames["instability"])
    frame = frame[frame["level"] == 0].assign(percent=100 * frame["instability"])
    tasks = list(frame["task"].unique())
    figure, axes = layout.panels(1, len(tasks))
    for axis, task in zip(axes[0], tasks, strict=False):
        own, steps = _place(frame[frame["task"] == task])
        for split in own["split"].unique():
            rows = own[own["split"] == split]
            marks.line(axis, rows, "place", "percent", style.SPLITS[split], split, "o")
            gaps.hollow_near_chance(axis, rows, "place", "percent", style.SPLITS[split])
        _finish(axis, task, "instability (points)", steps)
    return figure


def instability_sparse(frames: Frames, sparse_levels: Levels) -> Figure:
    """Test instability (above) and test accuracy (below) against k for each kind of sparse network."""
    frame, runs = selection.averaged(frames["instability"]), frames["runs"]
    frame = frame[frame["split"] == "test"].assign(percent=100 * frame["instability"])
    runs = runs.assign(percent=100 * (1 - runs["test_error"]))
    tasks = list(frame["task"].unique())
    figure, axes = layout.panels(2, len(tasks))
    for column, task in enumerate(tasks):
        own, steps = _place(frame[frame["task"] == task])
        _by_kind(axes[0][column], own, sparse_levels, "percent")
        _finish(axes[0][column], task, "test instability (points)", steps)
        own, steps = _place(runs[runs["task"] == task])
        marks.dense_band(axes[1][column], 100 - selection.dense_errors(runs, task))
        _by_kind(axes[1][column], own[own["level"] > 0], sparse_levels, "percent")
        density = 100 * selection.at_sparse_level(own, sparse_levels)["density"].iloc[0]
        _finish(axes[1][column], f"{task}, {density:.3g} %", "test accuracy (%)", steps)
    return figure


def distance_dense(frames: Frames, sparse_levels: Levels) -> Figure:
    """L2 distance between dense networks against k."""
    return _distances(frames["distances"], _dense_distance)


def distance_sparse(frames: Frames, sparse_levels: Levels) -> Figure:
    """L2 distance between sparse networks of each kind against k."""
    return _distances(frames["distances"], lambda axis, own: _by_kind(axis, own, sparse_levels, "l2_params"))


def _dense_distance(axes: Axes, own: pd.DataFrame) -> None:
    marks.line(axes, own[own["level"] == 0], "place", "l2_params", style.COLOURS["dense"], "dense", "o")


def _distances(frame: pd.DataFrame, draw: Callable[[Axes, pd.DataFrame], None]) -> Figure:
    tasks = list(frame["task"].unique())
    figure, axes = layout.panels(1, len(tasks))
    for axis, task in zip(axes[0], tasks, strict=False):
        own, steps = _place(frame[frame["task"] == task])
        draw(axis, own)
        axis.set_ylim(bottom=0)
        _finish(axis, task, "L2 distance", steps)
    return figure


def instability_throughout(frames: Frames, sparse_levels: Levels) -> Figure:
    """Test instability (above) and mean test error of the two runs (below) during training, a line a rewind step."""
    frame = frames["throughout"]
    frame = frame.assign(percent=100 * frame["instability"], error=100 * frame["mean_end_error"])
    tasks = list(frame["task"].unique())
    figure, axes = layout.panels(2, len(tasks))
    for column, task in enumerate(tasks):
        own = frame[frame["task"] == task]
        steps = sorted(own["k"].unique())
        for row, (value, label) in enumerate((("percent", "test instability (points)"), ("error", "test error (%)"))):
            for k, shade in zip(steps, style.shades(len(steps), style.COLOURS["imp"]), strict=True):
                rows = own[own["k"] == k]
                marks.line(axes[row][column], rows, "step", value, shade, f"k = {k}", ".")
                if value == "percent":
                    gaps.hollow_near_chance(axes[row][column], rows, "step", value, shade)
            axes[row][column].set_title(task)
            axes[row][column].set_xlabel("step")
            axes[row][column].set_ylabel(label)
            axes[row][column].set_ylim(bottom=0)
            axes[row][column].legend()
    return figure


def instability_by_layer(frames: Frames, sparse_levels: Levels) -> Figure:
    """Rise of the test error when one block of a dense network moves to another run's, a line a rewind step."""
    frame = frames["layers"].assign(percent=100 * frames["layers"]["rise"])
    return marks.by_block(frame, "percent", "rise of test error (points)")
