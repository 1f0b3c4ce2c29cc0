"""Accuracy against the share of weights that remain, and learning curves."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pipeline_lib.figures.support import layout, marks, scales, selection, style
from pipeline_lib.tables import rules, tabulation

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from pipeline_lib.figures.support.panel import Panel

# What each figure needs (`experiments.figure_needs`), and what the report says under it.
FIGURES = {
    "accuracy_by_density": {
        "runs": "ladder_at_first_k", "tables": ["runs"], "sparse": True,
        "caption": (
            "Test accuracy against the share of weights that remain, for IMP, random pruning with the same layer sizes, "
            "and IMP masks with new initial weights, all trained from the first rewind step. The dashed line and grey "
            "band are the dense network. Means and standard deviations over seeds; dotted: the lowest mean "
            "accuracy that matches (paper B, figure 5)."
        ),
    },
    "accuracy_by_rewind": {
        "runs": "imp_at_every_k", "tables": ["runs"], "sparse": True,
        "caption": (
            "Test accuracy of IMP against the share of weights that remain, a line a rewind step k. Means "
            "and standard deviations over seeds; the dashed line and grey band are the dense network, dotted is the lowest mean "
            "accuracy that matches (paper A, figures 1 and A2)."
        ),
    },
    "best_rewind": {
        "runs": "ladder_at_every_k", "tables": ["runs"], "sparse": True,
        "caption": (
            "As accuracy_by_density, with IMP at the rewind step whose mean test accuracy is highest, chosen level by "
            "level; choosing on the test set makes this line optimistic. Dotted: the sparsest level that matches from there "
            "(mean error at most that of dense plus one deviation, or 0.2 points if that is more; paper B, figure 8)."
        ),
    },
    "learning_curves": {
        "runs": "dense_at_first_k", "tables": ["curves"],
        "caption": (
            "Error during training of dense networks from the first rewind step: on the test split, and on the "
            "mini-batches as they were trained on, with augmentation. Means and standard deviations over seeds."
        ),
    },
    "validation": {
        "runs": "nothing", "tables": ["validation"], "option": "validation", "measures": ["validation"],
        "caption": (
            "Error of dense networks during training without some of the training images: on the test split, and on these "
            "images. Means and standard deviations over seeds; dots are the steps that the held-out images choose."
        ),
    },
}  # fmt: skip

Frames = dict[str, "pd.DataFrame"]
Levels = dict[str, int]


def _lines(axes: Panel, frame: pd.DataFrame) -> None:
    """Draw IMP and the controls from the first k."""
    first = frame[frame["k"] == frame["k"].min()]
    for kind in ("imp", "random_prune", "reinit"):
        chosen = tabulation.of_kind(first, kind)
        if len(chosen):
            label = f"{style.NAMES[kind]}, k = {first['k'].min():,}"
            marks.line(axes, chosen, "percent", "accuracy", style.LOOKS[kind], label, marks.PERCENT)


def _by_density(runs: pd.DataFrame, draw: Callable[[Panel, pd.DataFrame], None]) -> Figure:
    """Draw a panel a task: the dense band, what matches it, and lines."""
    figure, panels = layout.each_task(runs)
    for axis, task, own in panels:
        marks.dense_band(axis, rules.dense(own)["accuracy"])
        marks.matching(axis, own, task, accuracy=True)
        draw(axis, own)
        scales.density_axis(axis, own["percent"] / 100)
        axis.set_title(task)
        axis.set_ylabel("test accuracy (%)")
    return figure


def _with_best(axes: Panel, frame: pd.DataFrame) -> None:
    """Add IMP at the rewind step of highest mean accuracy, level by level, and the sparsest level that matches from there."""
    _lines(axes, frame)
    ladder = tabulation.of_kind(frame, "imp")
    errors = ladder["test_error"].fillna(rules.NOWHERE)  # a step with a diverged run is the best one of no level that has others
    means = errors.groupby([ladder["level"], ladder["k"]]).mean().reset_index()
    best = means.loc[means.groupby("level")["test_error"].idxmin()]
    chosen = ladder.merge(best[["level", "k"]])
    marks.line(axes, chosen, "percent", "accuracy", style.LOOKS["best"], style.NAMES["best"], marks.PERCENT)
    matching = rules.matches(best["test_error"].to_numpy(), rules.matching_error(rules.dense(frame)["test_error"]))
    levels = best["level"][matching & (best["level"] > 0)]
    found = chosen["percent"][chosen["level"].isin(levels)]
    label = f"sparsest that matches, {found.min():.3g} %" if len(found) else "none matches"
    axes.axvline(found.min() if len(found) else float("nan"), color=style.GREY, linestyle=style.DOTTED, label=label)


def _rewound(axes: Panel, frame: pd.DataFrame) -> None:
    """Draw IMP from every k."""
    for k, look in style.steps(frame["k"].unique().tolist()).items():
        own = tabulation.of_kind(selection.where(frame, k=k), "imp")
        marks.line(axes, own, "percent", "accuracy", look, f"IMP, k = {k:,}", marks.PERCENT)


def accuracy_by_density(frames: Frames, sparse_levels: Levels) -> Figure:
    """Test accuracy of IMP, random pruning and random reinit from the first k at every level."""
    return _by_density(selection.ladders(frames["runs"]), _lines)


def accuracy_by_rewind(frames: Frames, sparse_levels: Levels) -> Figure:
    """Test accuracy of IMP at every level, a line a rewind step."""
    return _by_density(selection.ladders(frames["runs"]), _rewound)


def best_rewind(frames: Frames, sparse_levels: Levels) -> Figure:
    """As accuracy_by_density, with IMP at the best rewind step of each level."""
    return _by_density(selection.ladders(frames["runs"]), _with_best)


def _error_axes(axes: Panel, task: str) -> None:
    axes.set_title(task)
    axes.set_xlabel("step")
    axes.set_ylabel("error (%)")
    scales.from_zero(axes)


def learning_curves(frames: Frames, sparse_levels: Levels) -> Figure:
    """Error of dense networks during training: test, and the mini-batches as trained."""
    curves = frames["curves"]
    dense = selection.at_first_k(curves[curves["level"] == 0])
    figure, panels = layout.each_task(dense.assign(percent=100 * dense["error"]))
    for axis, task, own in panels:
        for split in ("batch", "test"):
            marks.line(axis, own[own["split"] == split], "step", "percent", style.SPLITS[split], split, marks.PERCENT)
        _error_axes(axis, task)
    return figure


def validation(frames: Frames, sparse_levels: Levels) -> Figure:
    """Error of dense networks during training on held-out images and on the test split, and the chosen steps."""
    frame = frames["validation"]
    frame = frame.assign(held=100 * frame["validation_error"], test=100 * frame["test_error"])
    figure, panels = layout.each_task(frame)
    for axis, task, own in panels:
        for column, split, label in (("held", "train", "held out"), ("test", "test", "test")):
            marks.line(axis, own, "step", column, style.SPLITS[split].without_markers(), label, marks.PERCENT)
        chosen = own[own["chosen"].astype(bool)]
        marks.points(axis, chosen["step"], chosen["test"], style.SPLITS["test"], "chosen, test")
        _error_axes(axis, task)
    return figure
