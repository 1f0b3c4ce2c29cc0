"""Curvature of the loss at a ladder's solutions, and how much of them it lets be pruned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline_lib.figures.support import style
from pipeline_lib.tables import tabulation

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# What each figure needs (`experiments.figure_needs`), and what the report says under it.
FIGURES = {
    "pruning_limits": {
        "runs": "scanned", "tables": ["limits", "cuts", "runs"], "sparse": True, "option": "limits",
        "measures": ["spectra", "cuts"],
        "caption": (
            "How much of a solution can be pruned at once, against the distance R to the pruned network, at the last "
            "rewind step. Lines: the limit that the eigenvalues of the Hessian predict, mean over seeds (dashed: of its "
            "Gauss-Newton part; grey: at earlier levels). Points: networks pruned by that share, rewound and retrained, "
            "at their mean distance over seeds; a circle if their mean test error is at most that of dense networks plus "
            "one standard deviation, else a cross. The ladder's own next level is among them (paper C, figure 5)."
        ),
    },
    "spectra": {
        "runs": "ladder_at_last_k", "tables": ["spectrum"], "sparse": True, "option": "limits",
        "measures": ["spectra"],
        "caption": (
            "Share of the eigenvalues of the training loss's Hessian (solid) and of its Gauss-Newton part (dashed) that "
            "are at most each value, over surviving weights, estimated by Lanczos iterations from random signs. A line a "
            "level, at the last step that was measured of it; means over seeds and probes. The axis is linear to 0.01 on "
            "both sides and logarithmic beyond (paper C, section 3.3)."
        ),
    },
    "lemma": {
        "runs": "nothing", "tables": ["wells"], "option": "lemma",
        "measures": ["wells"],
        "caption": (
            "How often a random affine subspace at distance R from the minimum of a quadratic well meets the set where "
            "the loss is at most ε, against its dimension. Share of the subspaces drawn; dashed: the dimension from which "
            "lemma 3.1 predicts that they meet (paper C, section 3.3)."
        ),
    },
}  # fmt: skip

Frames = dict[str, "pd.DataFrame"]
Levels = dict[str, int]

_BY = ["task", "k", "level", "criterion", "fraction"]
_POINTS = {  # by criterion and whether it matches: colour, marker
    ("random", True): ("#009E73", "o"),
    ("random", False): ("#B2182B", "x"),
    ("magnitude", True): ("#0072B2", "o"),
    ("magnitude", False): ("#E69F00", "x"),
}
_OPERATORS = {"hessian": ("Hessian", "-"), "gauss_newton": ("Gauss-Newton", "--")}
_LINEAR_TO = 0.01  # eigenvalues up to this size are on a linear axis


def _as_points(rows: pd.DataFrame) -> pd.DataFrame:
    """Give the mean error over seeds of each way to prune a solution; ratios are rounded, as counts of weights round them."""
    return rows.assign(fraction=rows["fraction"].round(2)).groupby(_BY)["error"].mean().reset_index()


def _pruned(frames: Frames) -> pd.DataFrame:
    """List the networks from further pruned solutions: mean error and distance, and whether the error matches dense ones.

    The ladder's own next level is one of them.
    """
    import pandas as pd

    runs = tabulation.of_kind(style.every_start(frames), "imp")
    plain = style.select(runs, change="").sort_values(["task", "k", "seed", "level"])
    before = plain.groupby(["task", "k", "seed"])["density"].shift()
    own = plain.assign(level=plain["level"] - 1, criterion="magnitude", fraction=1 - plain["density"] / before)
    further = style.select(runs, num_changes=1)
    further = further[further["further_criterion"].isin({criterion for criterion, _ in _POINTS})]
    further = further.assign(criterion=further["further_criterion"], fraction=further["further_fraction"])
    points = _as_points(pd.concat([own[own["level"] >= 0], further]))
    cuts = frames["cuts"].assign(fraction=frames["cuts"]["fraction"].round(2))
    points = points.merge(cuts.groupby(_BY)["distance"].mean().reset_index(), on=_BY)
    dense = style.select(plain, level=0).groupby(["task", "k"])["error"]
    points = points.merge((dense.mean() + dense.std().fillna(0)).rename("most").reset_index(), on=["task", "k"])
    return points.assign(matching=points["error"] <= points["most"])


def _curve(own: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Give the mean over seeds of the predicted ratio, at distances that all seeds reach."""
    curves = [seed.sort_values("distance")[["distance", "clamped"]].to_numpy().T for _, seed in own.groupby("seed")]
    low, high = max(x[0] for x, _ in curves), min(x[-1] for x, _ in curves)
    grid = np.geomspace(low, max(low, high), 100)
    return grid, np.mean([np.interp(grid, x, y) for x, y in curves], axis=0)


def _predicted(axes: Axes, own: pd.DataFrame, level: int) -> None:
    """Draw the predicted limit of a level, and in grey those of earlier ones."""
    for earlier in sorted(set(own["level"])):
        rows = style.select(own, level=earlier, operator="hessian")
        if earlier < level and len(rows):
            axes.plot(*_curve(rows), color="0.8", linewidth=1, label="limit at earlier levels")
    for operator, (name, dash) in _OPERATORS.items():
        rows = style.select(own, level=level, operator=operator)
        if len(rows):
            axes.plot(*_curve(rows), color="black", linestyle=dash, label=f"limit, {name}")


def pruning_limits(frames: Frames, sparse_levels: Levels) -> Figure:
    """Ratios by which solutions can be pruned against the distance that this moves them: predicted, and retrained."""
    import pandas as pd

    limits = style.at_last_k(frames["limits"].dropna(subset=["clamped"]))
    points = style.at_last_k(_pruned(frames))
    figure, panels = style.each_level(pd.concat([limits[["task", "level"]], points[["task", "level"]]]))
    for axis, (task, level) in panels:
        own = style.select(points, task=task, level=level)
        _predicted(axis, style.select(limits, task=task), level)
        for (criterion, matching), (colour, marker) in _POINTS.items():
            chosen = style.select(own, criterion=criterion, matching=matching)
            label = f"{criterion} pruning, {'matching' if matching else 'not matching'}"
            axis.plot(chosen["distance"], chosen["fraction"], color=colour, marker=marker, linestyle="", label=label)
        if own["distance"].notna().any():
            axis.set_xlim(0, 1.15 * own["distance"].max())
        axis.set_ylim(0, 1)
        axis.set_title(f"{task}, level {level}")
        axis.set_xlabel("distance R to the pruned network")
        axis.set_ylabel("share pruned")
    style.legend_below(figure)
    return figure


def _eigenvalue_axis(axes: Axes, values: pd.Series) -> None:
    """Make the axis linear near 0 and logarithmic beyond, on both sides."""
    axes.set_xscale("symlog", linthresh=_LINEAR_TO)
    lowest, highest = min(values.min(), 0), max(values.max(), _LINEAR_TO)
    decades = [-(10.0**i) for i in range(6, -3, -2)] + [0] + [10.0**i for i in range(-2, 9, 2)]
    shown = [tick for tick in decades if lowest <= tick <= highest]
    axes.set_xticks(shown, [f"{tick:g}".replace("-", "−") for tick in shown])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("eigenvalue")


def spectra(frames: Frames, sparse_levels: Levels) -> Figure:
    """Share of the spectrum below each value, a line a level, at the last step that was measured of each."""
    frame = tabulation.of_kind(style.select(frames["spectrum"], vector="rademacher"), "imp")
    frame = frame[frame["step"] == frame.groupby(["task", "k", "level"])["step"].transform("max")]
    figure, panels = style.placed([list(frame["task"].unique())])
    for axis, task in panels:
        own = style.select(frame, task=task)
        settings = own[["k", "level"]].drop_duplicates().sort_values(["k", "level"])
        colours = style.shades(len(settings), style.COLOURS["imp"])
        for (k, level), colour in zip(settings.itertuples(index=False), colours, strict=True):
            for operator, (name, dash) in _OPERATORS.items():
                rows = style.select(own, k=k, level=level, operator=operator).sort_values("node")
                if len(rows):
                    share = rows["weight"].cumsum() / len(rows[["seed", "probe"]].drop_duplicates())
                    x, y = [rows["node"].iloc[0], *rows["node"]], [0.0, *share]
                    label = f"k = {k}, level {level}, {name}"
                    axis.step(x, y, where="post", color=colour, linestyle=dash, linewidth=1.2, label=label)
        _eigenvalue_axis(axis, own["node"])
        axis.set_title(task)
        axis.set_ylabel("share of eigenvalues")
        axis.set_ylim(0, 1.02)
    style.legend_below(figure)
    return figure


def lemma(frames: Frames, sparse_levels: Levels) -> Figure:
    """How often random subspaces meet the sublevel set of a quadratic well, and where that is predicted to begin."""
    frame = frames["wells"]
    wells = frame[["dimension", "epsilon"]].drop_duplicates()
    figure, panels = style.placed([list(wells.itertuples(index=False))])
    for axis, (dimension, epsilon) in panels:
        own = style.select(frame, dimension=dimension, epsilon=epsilon)
        distances = sorted(own["distance"].unique())
        for distance, colour in zip(distances, style.shades(len(distances), style.COLOURS["imp"]), strict=True):
            rows = style.select(own, distance=distance)
            style.line(axis, rows, "subspace", "probability", colour, f"R = {distance:g}", ".")
            axis.axvline(rows["threshold"].iloc[0], color=colour, linestyle="--", linewidth=1)
        axis.plot([], [], color="0.4", linestyle="--", linewidth=1, label="predicted")
        axis.set_title(f"{dimension} dimensions, ε = {epsilon:g}")
        axis.set_xlabel("dimension of the subspace")
        axis.set_ylabel("share of subspaces that meet the set")
    style.legend_below(figure)
    return figure
