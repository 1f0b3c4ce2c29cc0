"""Accuracy against the share of weights that remain, and learning curves."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pipeline_lib.figures.support import layout, marks, scales, selection, style
from pipeline_lib.tables import rules, tabulation

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# What each figure needs (`experiments.figure_needs`), and what the report says under it.
FIGURES = {
    "accuracy_by_density": {
        "runs": "ladder_at_first_k", "tables": ["runs"], "sparse": True,
        "caption": (
            "Test accuracy against the share of weights that remain, for IMP, random pruning with the same layer sizes, "
            "and IMP masks with new initial weights, all trained from the first rewind step. The dashed line and grey "
            "band are the dense network. Means and standard deviations over seeds (paper B, figure 5)."
        ),
    },
    "accuracy_by_rewind": {
        "runs": "imp_at_every_k", "tables": ["runs"], "sparse": True,
        "caption": (
            "Test accuracy of IMP against the share of weights that remain, a line a rewind step k, darker with later "
            "ones. Means over seeds, bands of one standard deviation; the dashed line and grey band are the dense network "
            "(paper A, figures 1 and A2)."
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
            "Error during training of dense networks from the first rewind step: on the test split, and on the mini- "
            "batches as they were trained on, with augmentation. Means and standard deviations over seeds and orders."
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


def _lines(axes: Axes, frame: pd.DataFrame) -> None:
    """Draw the dense band, and IMP and the controls from the first k."""
    first = frame[frame["k"] == frame["k"].min()]
    marks.dense_band(axes, rules.dense(frame)["accuracy"])
    for kind in ("imp", "random_prune", "reinit"):
        chosen = tabulation.of_kind(first, kind)
        if len(chosen):
            marks.line(
                axes, chosen, "percent", "accuracy", style.COLOURS[kind], f"{style.NAMES[kind]}, k = {first['k'].min()}", "."
            )


def _by_density(runs: pd.DataFrame, draw: Callable[[Axes, pd.DataFrame], None]) -> Figure:
    """Draw a panel a task."""
    tasks = list(runs["task"].unique())
    figure, axes = layout.panels(1, len(tasks))
    for axis, task in zip(axes[0], tasks, strict=False):
        own = runs[runs["task"] == task]
        draw(axis, own)
        scales.density_axis(axis, own["percent"] / 100)
        axis.set_title(task)
        axis.set_ylabel("test accuracy (%)")
        axis.legend(loc="lower left")
    return figure


def _with_best(axes: Axes, frame: pd.DataFrame) -> None:
    """Add IMP at the rewind step of highest mean accuracy, level by level, and the sparsest level that matches from there."""
    _lines(axes, frame)
    ladder = tabulation.of_kind(frame, "imp")
    errors = ladder["test_error"].fillna(rules.NOWHERE)  # a step with a diverged run is the best one of no level that has others
    means = errors.groupby([ladder["level"], ladder["k"]]).mean().reset_index()
    best = means.loc[means.groupby("level")["test_error"].idxmin()]
    chosen = ladder.merge(best[["level", "k"]])
    marks.line(axes, chosen, "percent", "accuracy", style.COLOURS["best"], style.NAMES["best"], ".")
    matching = rules.matches(best["test_error"].to_numpy(), rules.matching_error(rules.dense(frame)["test_error"]))
    levels = best["level"][matching & (best["level"] > 0)]
    found = chosen["percent"][chosen["level"].isin(levels)]
    label = f"sparsest that matches, {found.min():.3g} %" if len(found) else "none matches"
    axes.axvline(found.min() if len(found) else float("nan"), color="0.4", linestyle=":", label=label)


def _rewound(axes: Axes, frame: pd.DataFrame) -> None:
    """Draw the dense band, and IMP from every k, darker with later ones."""
    marks.dense_band(axes, rules.dense(frame)["accuracy"])
    steps = sorted(frame["k"].unique())
    for k, shade in zip(steps, style.shades(len(steps), style.COLOURS["imp"]), strict=True):
        marks.line(
            axes, tabulation.of_kind(selection.where(frame, k=k), "imp"), "percent", "accuracy", shade, f"IMP, k = {k}", "."
        )


def accuracy_by_density(frames: Frames, sparse_levels: Levels) -> Figure:
    """Test accuracy of IMP, random pruning and random reinit from the first k at every level."""
    return _by_density(selection.ladders(frames["runs"]), _lines)


def accuracy_by_rewind(frames: Frames, sparse_levels: Levels) -> Figure:
    """Test accuracy of IMP at every level, a line a rewind step."""
    return _by_density(selection.ladders(frames["runs"]), _rewound)


def best_rewind(frames: Frames, sparse_levels: Levels) -> Figure:
    """As accuracy_by_density, with IMP at the best rewind step of each level."""
    return _by_density(selection.ladders(frames["runs"]), _with_best)


def learning_curves(frames: Frames, sparse_levels: Levels) -> Figure:
    """Error of dense networks during training: test, and the mini-batches as trained."""
    curves = frames["curves"]
    dense = selection.at_first_k(curves[curves["level"] == 0])
    dense = dense.assign(percent=100 * dense["error"])
    tasks = list(dense["task"].unique())
    figure, axes = layout.panels(1, len(tasks))
    for axis, task in zip(axes[0], tasks, strict=False):
        for split in ("batch", "test"):
            chosen = dense[(dense["task"] == task) & (dense["split"] == split)]
            marks.line(axis, chosen, "step", "percent", style.SPLITS[split], split, ".")
        axis.set_title(task)
        axis.set_xlabel("step")
        axis.set_ylabel("error (%)")
        axis.set_ylim(bottom=0)
        axis.legend()
    return figure


def validation(frames: Frames, sparse_levels: Levels) -> Figure:
    """Error of dense networks during training on held-out images and on the test split, and the chosen steps."""
    frame = frames["validation"]
    frame = frame.assign(held=100 * frame["validation_error"], test=100 * frame["test_error"])
    figure, panels = layout.placed([list(frame["task"].unique())])
    for axis, task in panels:
        own = selection.where(frame, task=task)
        for column, split, label in (("held", "train", "held out"), ("test", "test", "test")):
            marks.line(axis, own, "step", column, style.SPLITS[split], label)
        chosen = own[own["chosen"].astype(bool)]
        axis.plot(chosen["step"], chosen["test"], "o", color=style.SPLITS["test"], markersize=4, label="chosen, test")
        axis.set_title(task)
        axis.set_xlabel("step")
        axis.set_ylabel("error (%)")
        axis.set_ylim(bottom=0)
        axis.legend()
    return figure
