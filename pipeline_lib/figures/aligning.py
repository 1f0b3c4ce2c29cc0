"""Instability before and after units are permuted to match, within seeds and across them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline_lib.figures.support import gaps, layout, marks, scales, selection, style
from pipeline_lib.figures.support.style import Look

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from pipeline_lib.figures.support.panel import Panel

FIGURES = {
    "instability_aligned": {
        "runs": "dense_at_every_k", "tables": ["alignments", "instability"], "option": "align",
        "caption": (
            "Test instability of dense networks against the rewind step: as they were trained, and with the second network's "
            "hidden units permuted to match the first's, by weights or by activations. Above: two orders of SGD noise of one "
            "seed; below: each seed and the next, whose initialisations differ. Full lines average BatchNorm statistics like "
            "weights; broken ones, where they were asked for, rescale hidden units to what they do at the ends, or recompute the "
            "statistics. Means and standard deviations over seeds; pairs across seeds share networks. Dotted: the two points "
            "below which networks are stable; points are hollow where networks are near chance."
        ),
    },
    "instability_aligned_sparse": {
        "runs": "sparse_at_every_k", "tables": ["alignments", "instability"], "sparse": True, "option": "align",
        "caption": (
            "Test instability of IMP's networks at the sparse level, whose masks are permuted with their weights, against the "
            "rewind step. Above: two orders of SGD noise of one seed; below: each seed and the next. Full lines average "
            "BatchNorm statistics, broken ones rescale hidden units or recompute the statistics. Means and standard deviations "
            "over seeds; pairs across seeds share networks. Points are hollow where networks are near chance."
        ),
    },
    "level_barriers_aligned": {
        "runs": "imp_at_every_k", "tables": ["barriers"], "sparse": True, "option": "align",
        "measures": ["lines_of_every_ladder", "lines_of_every_aligned_ladder"],
        "caption": (
            "Highest excess of test error over the chord on the line from a solution of a ladder to that of the next level: "
            "as they were trained, and with the sparser network's hidden units, its mask with them, permuted to match the "
            "denser's. A column a rewind step. Means and standard deviations over seeds."
        ),
    },
    "alignments": {
        "runs": "dense_at_every_k", "tables": ["alignments"], "option": "align",
        "caption": (
            "How alike two dense networks are before units are permuted and after, a row for each way to match them: the cosine "
            "of their weights, or the mean correlation of hidden units over training images. The last row is the share of hidden "
            "units that the permutation moves. Circles: orders of one seed; squares: each seed and the next. Means and "
            "standard deviations over seeds."
        ),
    },
}  # fmt: skip

Frames = dict[str, "pd.DataFrame"]
Levels = dict[str, int]
_LOOKS = {"none": Look("#000000", "o"), "weights": Look("#0072B2", "s"), "activations": Look("#E69F00", "^")}
_NAMES = {"none": "as trained", "weights": "aligned by weights", "activations": "aligned by activations"}
_PAIRS = {True: Look("#009E73", "o"), False: Look("#CC79A7", "s")}
_WITHIN = {True: "within seeds", False: "across seeds"}


def _instability(axes: Panel, own: pd.DataFrame) -> None:
    """Draw a line for each alignment, once more for what else than averaging was done with statistics."""
    for batchnorm, dash in (("averaged", style.SOLID), ("repaired", style.DASHED), ("recomputed", style.DOTTED)):
        for alignment, look in _LOOKS.items():
            rows = selection.where(own, batchnorm=batchnorm, alignment=alignment)
            if len(rows):
                own_look = Look(look.colour, look.marker, dash)
                name = _NAMES[alignment] if batchnorm == "averaged" else f"{_NAMES[alignment]}, {batchnorm}"
                marks.line(axes, rows, "k", "percent", own_look, name, marks.PERCENT)
                gaps.hollow_near_chance(axes, rows, "k", "percent", own_look)
    marks.stable(axes)
    scales.from_zero(axes)


def _by_pairs(frame: pd.DataFrame) -> Figure:
    frame = frame[frame["split"] == "test"].assign(percent=100 * frame["instability"])
    within = frame["seed"] == frame["other_seed"]
    tasks = [str(task) for task in frame["task"].unique()]
    figure, axes = layout.panels(2, len(tasks))
    for row, inside in zip(axes, (True, False), strict=True):
        for axis, task in zip(row, tasks, strict=False):
            own = frame[(frame["task"] == task) & (within == inside)]
            _instability(axis, own)
            axis.set_title(f"{task}, {_WITHIN[inside]}")
            axis.set_ylabel("test instability (points)")
            scales.rewind_axis(axis, own["k"].unique().tolist())
    return figure


def _imp(frames: Frames) -> pd.DataFrame:
    """Keep the runs whose pairs are aligned."""
    frame = frames["every_instability"]
    return frame[frame["kind"].isin(("dense", "imp"))]


def instability_aligned(frames: Frames, sparse_levels: Levels) -> Figure:
    """Instability of dense networks before and after alignment, within and across seeds."""
    frame = _imp(frames)
    return _by_pairs(frame[frame["level"] == 0])


def instability_aligned_sparse(frames: Frames, sparse_levels: Levels) -> Figure:
    """Instability of IMP's networks at the sparse level before and after alignment, within and across seeds."""
    return _by_pairs(selection.at_sparse_level(_imp(frames), sparse_levels))


def level_barriers_aligned(frames: Frames, sparse_levels: Levels) -> Figure:
    """Barriers between the successive levels of ladders before and after alignment, against the level."""
    frame = selection.where(frames["every_barriers"], what="levels", split="test")
    frame = frame[frame["level_2"] == frame["level_1"] + 1].assign(points=100 * frame["barrier"])
    steps = {str(task): sorted(own["k"].unique().tolist()) for task, own in frame.groupby("task", sort=False)}
    figure, panels = layout.placed([[(task, k) for k in ks] for task, ks in steps.items()])
    for axis, (task, k) in panels:
        for alignment, look in _LOOKS.items():
            rows = selection.where(frame, task=task, k=k, alignment=alignment)
            if len(rows):  # lines of equal networks lie on each other
                own_look = look if alignment == "none" else Look(look.colour, look.marker, style.DASHED)
                marks.line(axis, rows, "level_1", "points", own_look, _NAMES[alignment], marks.POSITIVE)
        scales.level_axis(axis)
        scales.from_zero(axis)
        axis.set_title(f"{task}, k = {k:,}")
        axis.set_ylabel("barrier to the next level (points)")
    return figure


def alignments(frames: Frames, sparse_levels: Levels) -> Figure:
    """How alike dense networks are before and after alignment, and what share of units moves, against k."""
    frame = frames["alignments"]
    frame = frame[(frame["level"] == 0) & (frame["other_level"] == 0)].assign(percent=100 * frame["moved"])
    tasks = [str(task) for task in frame["task"].unique()]
    figure, axes = layout.panels(3, len(tasks))
    for column, task in enumerate(tasks):
        own = frame[frame["task"] == task]
        for row, (method, label) in enumerate((("weights", "cosine of weights"), ("activations", "correlation of units"))):
            axis, found = axes[row][column], selection.where(own, alignment=method)
            _both(axis, found, (("before", style.DASHED), ("after", style.SOLID)))
            axis.set_title(f"{task}, by {method}")
            axis.set_ylabel(label)
            scales.rewind_axis(axis, own["k"].unique().tolist())
        last = axes[2][column]
        for method, dash in (("weights", style.SOLID), ("activations", style.DOTTED)):
            _both(last, selection.where(own, alignment=method), (("percent", dash),), f", by {method}")
        last.set_title(task)
        last.set_ylabel("hidden units moved (%)")
        scales.rewind_axis(last, own["k"].unique().tolist())
    return figure


def _both(axes: Panel, rows: pd.DataFrame, values: tuple[tuple[str, style.Dash], ...], more: str = "") -> None:
    """Draw values of pairs within seeds and across them."""
    within = rows["seed"] == rows["other_seed"]
    for inside, look in _PAIRS.items():
        for value, dash in values if (within == inside).any() else ():
            name = f"{_WITHIN[inside]}{more or f', {value}'}"
            limits = marks.PERCENT if value == "percent" else (-1.0, 1.0)
            marks.line(axes, rows[within == inside], "k", value, Look(look.colour, look.marker, dash), name, limits)
    scales.from_zero(axes)
