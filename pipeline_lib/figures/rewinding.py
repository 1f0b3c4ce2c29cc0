"""Instability, accuracy and distance against the rewind step."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pipeline_lib.figures.support import blocks, gaps, layout, marks, scales, selection, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from pipeline_lib.figures.support.panel import Panel

# What each figure needs (`experiments.figure_needs`), and what the report says under it.
FIGURES = {
    "instability_dense": {
        "runs": "dense_at_every_k", "tables": ["instability"],
        "caption": (
            "Instability of dense networks, the highest error on the line minus the mean error of its ends, against the "
            "step k at which the copies part. Means and standard deviations over seeds, a seed's pairs of orders averaged first; "
            "dotted: the two points below which networks are stable; points are "
            "hollow where networks are near chance, so that little instability means nothing (paper B, figure 3)."
        ),
    },
    "instability_sparse": {
        "runs": "sparse_at_every_k", "tables": ["instability", "runs"], "sparse": True,
        "caption": (
            "Above: test instability against the rewind step for three kinds of sparse network, and for dense ones. "
            "Below: test accuracy of the same sparse networks; the dashed line and grey band are the dense network from the "
            "first rewind step. Means and standard deviations over seeds, a seed's pairs or runs averaged first; above, dotted: "
            "the two points below which networks are stable, and points "
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
            "Lines are rewind steps; means and standard deviations over seeds, a seed's pairs averaged first; points are hollow "
            "where networks are near chance."
        ),
    },
    "instability_by_layer": {
        "runs": "dense_at_every_k", "tables": ["layers"], "option": "layerwise",
        "caption": (
            "Error that arises when one block at a time moves from a dense run to another one from the same state at step "
            "k, all other blocks staying: highest test error on the way less that of the first run. Means and standard "
            "deviations over seeds, a seed's pairs of orders averaged first."
        ),
    },
}  # fmt: skip

Frames = dict[str, "pd.DataFrame"]
Levels = dict[str, int]


def _finish(axes: Panel, title: str, label: str, own: pd.DataFrame) -> None:
    axes.set_title(title)
    axes.set_ylabel(label)
    scales.rewind_axis(axes, own["k"].unique().tolist())


def _kinds(frame: pd.DataFrame, sparse_levels: Levels) -> list[tuple[str, pd.DataFrame]]:
    """Select the rows of each kind of sparse network and of dense ones, in drawing order."""
    sparse = selection.at_sparse_level(frame, sparse_levels)
    found = [(kind, sparse[sparse["kind"] == kind]) for kind in ("imp", "random_prune", "reinit")]
    return [(kind, rows) for kind, rows in [*found, ("dense", frame[frame["level"] == 0])] if len(rows)]


def _by_kind(axes: Panel, frame: pd.DataFrame, sparse_levels: Levels, y: str, within: marks.Range) -> None:
    for kind, rows in _kinds(frame, sparse_levels):
        marks.line(axes, rows, "k", y, style.LOOKS[kind], style.NAMES[kind], within)
        if "headroom" in rows:
            gaps.hollow_near_chance(axes, rows, "k", y, style.LOOKS[kind])


def instability_dense(frames: Frames, sparse_levels: Levels) -> Figure:
    """Instability of dense networks against k: train and test."""
    frame = selection.averaged(frames["instability"])
    frame = frame[frame["level"] == 0].assign(percent=100 * frame["instability"])
    figure, panels = layout.each_task(frame)
    for axis, task, own in panels:
        for split in own["split"].unique():
            rows = own[own["split"] == split]
            marks.line(axis, rows, "k", "percent", style.SPLITS[split], split, marks.PERCENT)
            gaps.hollow_near_chance(axis, rows, "k", "percent", style.SPLITS[split])
        marks.stable(axis)
        scales.from_zero(axis)
        _finish(axis, task, "instability (points)", own)
    return figure


def instability_sparse(frames: Frames, sparse_levels: Levels) -> Figure:
    """Test instability (above) and test accuracy (below) against k for each kind of sparse network."""
    frame, runs = selection.averaged(frames["instability"]), frames["runs"]
    frame = frame[frame["split"] == "test"].assign(percent=100 * frame["instability"])
    runs = runs.assign(accuracy=100 * (1 - runs["test_error"]))
    tasks = [str(task) for task in frame["task"].unique()]
    figure, axes = layout.panels(2, len(tasks))
    for above, below, task in zip(axes[0], axes[1], tasks, strict=False):
        own = frame[frame["task"] == task]
        _by_kind(above, own, sparse_levels, "percent", marks.PERCENT)
        marks.stable(above)
        scales.from_zero(above)
        _finish(above, task, "test instability (points)", own)
        own = runs[runs["task"] == task]
        marks.dense_band(below, 100 - selection.dense_errors(runs, task), "dense, first k")
        _by_kind(below, own[own["level"] > 0], sparse_levels, "accuracy", marks.PERCENT)
        density = 100 * selection.at_sparse_level(own, sparse_levels)["density"].iloc[0]
        _finish(below, f"{task}, {density:.3g} %", "test accuracy (%)", own)
    return figure


def distance_dense(frames: Frames, sparse_levels: Levels) -> Figure:
    """L2 distance between dense networks against k."""
    return _distances(frames["distances"], _dense_distance)


def distance_sparse(frames: Frames, sparse_levels: Levels) -> Figure:
    """L2 distance between sparse networks of each kind against k."""
    return _distances(frames["distances"], lambda axis, own: _by_kind(axis, own, sparse_levels, "l2_params", marks.POSITIVE))


def _dense_distance(axes: Panel, own: pd.DataFrame) -> None:
    marks.line(axes, own[own["level"] == 0], "k", "l2_params", style.LOOKS["dense"], "dense", marks.POSITIVE)


def _distances(frame: pd.DataFrame, draw: Callable[[Panel, pd.DataFrame], None]) -> Figure:
    figure, panels = layout.each_task(frame)
    for axis, task, own in panels:
        draw(axis, own)
        scales.from_zero(axis)
        _finish(axis, task, "L2 distance", own)
    return figure


def instability_throughout(frames: Frames, sparse_levels: Levels) -> Figure:
    """Test instability (above) and mean test error of the two runs (below) during training, a line a rewind step."""
    frame = frames["throughout"]
    frame = frame.assign(percent=100 * frame["instability"], error=100 * frame["mean_end_error"])
    tasks = [str(task) for task in frame["task"].unique()]
    looks = style.steps(frame["k"].unique().tolist())
    figure, axes = layout.panels(2, len(tasks))
    for column, task in enumerate(tasks):
        for row, (value, label) in enumerate((("percent", "test instability (points)"), ("error", "test error (%)"))):
            axis, own = axes[row][column], frame[frame["task"] == task]
            for k in sorted(own["k"].unique().tolist()):
                rows = own[own["k"] == k]
                marks.line(axis, rows, "step", value, looks[k], f"k = {k:,}", marks.PERCENT)
                if value == "percent":
                    gaps.hollow_near_chance(axis, rows, "step", value, looks[k])
            if value == "percent":
                marks.stable(axis)
            axis.set_title(task)
            axis.set_xlabel("step")
            axis.set_ylabel(label)
            scales.from_zero(axis)
    return figure


def instability_by_layer(frames: Frames, sparse_levels: Levels) -> Figure:
    """Rise of the test error when one block of a dense network moves to another run's, a line a rewind step."""
    frame = frames["layers"].assign(percent=100 * frames["layers"]["rise"])
    return blocks.by_block(frame, "percent", "rise of test error (points)", marks.PERCENT)
