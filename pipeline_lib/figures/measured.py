"""Around solutions: limits from measured radii beside those from spectra, and what foretells the outliers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline_lib.figures.support import layout, marks, selection, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

# What each figure needs (`experiments.figure_needs`), and what the report says under it.
FIGURES = {
    "measured_limits": {
        "runs": "ladder_and_dense", "tables": ["measured_limits"], "sparse": True, "option": "limits",
        "measures": ["radii", "spectra", "cuts"],
        "caption": (
            "How much of a solution can be pruned at once, at the last rewind step: by the eigenvalues of the Gauss-Newton "
            "matrix (black) and of the Hessian (purple), and by the lemma's sum from measured radii (colours): distances at "
            "which the training loss no longer matches, along random directions, directions in proportion to weights, and "
            "directions of high curvature. Means over seeds, bands of one standard deviation. Radii along random directions "
            "give less than the lemma's own axes do, where the loss is quadratic."
        ),
    },
    "outliers": {
        "runs": "ladder_at_last_k", "tables": ["outliers"], "sparse": True, "option": "limits",
        "measures": ["class_means", "spectra"],
        "caption": (
            "The largest eigenvalues of the Gauss-Newton matrix (black) and of the Hessian (purple) at a ladder's solutions, "
            "by rank, beside those of the Gram matrix of class means of the logits' gradients (blue), which are at most as "
            "large as the Gauss-Newton ones on the same images. Means over seeds, bands of one standard deviation; those that "
            "have not converged are left out."
        ),
    },
}  # fmt: skip

Frames = dict[str, "pd.DataFrame"]
Levels = dict[str, int]

_SPECTRA = {
    "gauss_newton": ("Gauss-Newton", style.Look("black", "o")),
    "hessian": ("Hessian", style.Look("#762A83", "s", style.DASHED)),
}
_DIRECTIONS = {
    "random": ("random directions", style.Look("#009E73", "^", style.DASHES[3])),
    "magnitude": ("in proportion to weights", style.Look("#0072B2", "D", style.DASHES[4])),
    "curvature": ("of high curvature", style.Look("#D55E00", "v", style.DOTTED)),
}


def measured_limits(frames: Frames, sparse_levels: Levels) -> Figure:
    """Limits of pruning from measured radii and from spectra against the distance, a panel a level."""
    frame = selection.at_last_k(frames["measured_limits"])
    figure, panels = layout.each_level(frame)
    for axis, (task, level) in panels:
        own = selection.where(frame, task=task, level=level)
        own = own.assign(place=own.groupby(["seed", "direction"]).cumcount())  # every seed has a grid of its own
        own = own.assign(distance=own.groupby("place")["distance"].transform("mean"))
        one = selection.where(own, direction=own["direction"].iloc[0])
        for name, (label, look) in _SPECTRA.items():
            if one[name].notna().any():
                marks.line(axis, one.dropna(subset=[name]), "distance", name, look, f"limit, {label}", marks.SHARE)
        for name, (label, look) in _DIRECTIONS.items():
            rows = selection.where(own, direction=name)
            if len(rows):
                marks.line(axis, rows, "distance", "share", look, f"radii, {label}", marks.SHARE)
        axis.set_ylim(-0.03, 1.03)
        axis.set_title(f"{task}, level {level}")
        axis.set_xlabel("distance R to the pruned network")
        axis.set_ylabel("share pruned")
    return figure


def outliers(frames: Frames, sparse_levels: Levels) -> Figure:
    """The largest eigenvalues by rank, and those of the class means' Gram matrix, a panel a level."""
    frame = selection.at_last_k(frames["outliers"])
    figure, panels = layout.each_level(frame)
    for axis, (task, level) in panels:
        own = selection.where(frame, task=task, level=level)
        for name, (label, look) in {**_SPECTRA, "class_means": ("class means", style.Look("#0072B2", "^", style.DOTTED))}.items():
            rows = own.dropna(subset=[name])
            rows = rows[rows[name] > 0]
            if len(rows):
                marks.line(axis, rows, "rank", name, look, label, marks.POSITIVE)
        axis.set_yscale("log")
        axis.locator_params(axis="x", integer=True)
        axis.set_title(f"{task}, level {level}")
        axis.set_xlabel("rank")
        axis.set_ylabel("eigenvalue")
    return figure
