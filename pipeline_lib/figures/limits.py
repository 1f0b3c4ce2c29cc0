"""Curvature of the loss at a ladder's solutions, and how much of them it lets be pruned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline_lib.figures.support import layout, marks, samples, scales, selection, style
from pipeline_lib.tables import rules, tabulation

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from pipeline_lib.figures.support.panel import Panel

# What each figure needs (`experiments.figure_needs`), and what the report says under it.
FIGURES = {
    "pruning_limits": {
        "runs": "scanned", "tables": ["limits", "cuts", "runs"], "sparse": True, "option": "limits",
        "measures": ["spectra", "cuts"],
        "caption": (
            "How much of a solution can be pruned at once, against the distance R to the pruned network, at the last "
            "rewind step. Lines: the limit that the Gauss-Newton eigenvalues predict (black; light grey: at earlier levels) "
            "and those of the Hessian (purple), mean over the n seeds that have one, dashed where those are not all. A "
            "solution above the matching loss has no sublevel set: its limit is 0. Bands: means of the seeds' 95 % bands, of "
            "the iterations, the probes and the error of epsilon. Dotted grey: what still moves by more "
            "than the tolerance and is no value. Points: networks pruned by that share, rewound and retrained, "
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
_LIMITS = {  # name, colour, and dashes where all seeds have a value and where some have
    "gauss_newton": ("Gauss-Newton", "black", (style.SOLID, style.DASHED)),
    "hessian": ("Hessian", "#762A83", style.DASHES[3:]),
}
_OPERATORS = {"hessian": ("Hessian", style.SOLID), "gauss_newton": ("Gauss-Newton", style.DASHED)}
_SPECTRUM = ["task", "seed", "k", "level", "step", "operator"]


def _as_points(rows: pd.DataFrame) -> pd.DataFrame:
    """Give the mean error over seeds of each way to prune a solution; ratios are rounded, as counts of weights round them."""
    return rows.assign(fraction=rows["fraction"].round(2)).groupby(_BY)["error"].mean().reset_index()


def _pruned(frames: Frames) -> pd.DataFrame:
    """List the networks from further pruned solutions: mean error and distance, and whether the error matches dense ones.

    The ladder's own next level is one of them.
    """
    import pandas as pd

    runs = tabulation.of_kind(selection.every_start(frames), "imp")
    plain = selection.where(runs, change="").sort_values(["task", "k", "seed", "level"])
    before = plain.groupby(["task", "k", "seed"])["density"].shift()
    own = plain.assign(level=plain["level"] - 1, criterion="magnitude", fraction=1 - plain["density"] / before)
    further = selection.where(runs, num_changes=1)
    further = further[further["further_criterion"].isin({criterion for criterion, _ in _POINTS})]
    further = further.assign(criterion=further["further_criterion"], fraction=further["further_fraction"])
    points = _as_points(pd.concat([own[own["level"] >= 0], further]))
    cuts = frames["cuts"].assign(fraction=frames["cuts"]["fraction"].round(2))
    points = points.merge(cuts.groupby(_BY)["distance"].mean().reset_index(), on=_BY)
    highest = {task: 100 * rules.highest_matching(plain, task) for task in points["task"].unique()}
    most = points["task"].map(highest).astype(float)
    return points.assign(most=most, matching=points["error"].astype(float) <= most)


def _curves(own: pd.DataFrame, column: str, grid: np.ndarray) -> np.ndarray:
    """Give each seed's values at distances, a row a seed; NaN where it has none, or one beside it is not known."""
    seeds = [seed.sort_values("distance")[["distance", column]].to_numpy(dtype=float).T for _, seed in own.groupby("seed")]
    return np.array([np.interp(grid, x, y, left=np.nan, right=np.nan) for x, y in seeds])


def _mean(curves: np.ndarray) -> np.ndarray:
    """Average over the seeds that have a value; NaN where none has."""
    num = np.isfinite(curves).sum(0)
    return np.where(num, np.nansum(curves, 0), np.nan) / np.maximum(num, 1)


def _pieces(axes: Panel, x: np.ndarray, y: np.ndarray, where: np.ndarray, label: str, **look: Any) -> None:
    """Draw a line where it is asked for and has values, in pieces: a gap is no run that has none."""
    places = np.flatnonzero(where & np.isfinite(y))
    for piece in np.split(places, np.flatnonzero(np.diff(places) > 1) + 1) if len(places) else ():
        axes.plot(x[piece], y[piece], label=label, **look)


def _limit(axes: Panel, own: pd.DataFrame, num_seeds: int, name: str, colour: str, dashes: Sequence[style.Dash]) -> None:
    """Draw one operator's limit: a band, one dash where all seeds have a value, another where some have, grey where it moves."""
    grid = np.geomspace(own["distance"].min(), own["distance"].max(), 200)
    curves, unsettled = _curves(own, "clamped", grid), _curves(own, "unsettled", grid)
    num = np.isfinite(curves).sum(0)
    mean, moves = _mean(curves), num < np.isfinite(unsettled).sum(0)
    _pieces(axes, grid, _mean(unsettled), moves, "limit, not settled", color="0.55", linestyle=style.DOTTED, linewidth=1.2)
    low, high = (_mean(np.where(np.isfinite(curves), _curves(own, end, grid), np.nan)) for end in ("lower", "upper"))
    axes.fill_between(grid, low, high, color=colour, alpha=style.BAND, linewidth=0)
    _pieces(axes, grid, mean, num == num_seeds, f"limit, {name}", color=colour, linestyle=dashes[0])
    _pieces(axes, grid, mean, num < num_seeds, f"limit, {name}, of some seeds", color=colour, linestyle=dashes[1])


def _counted(axes: Panel, own: pd.DataFrame, num_seeds: int) -> None:
    """Say above the panel of how many seeds there is a limit, and which have no sublevel set."""
    num, without = own["seed"].nunique(), own[own["c"].isna() & (own["unsettled"] == 0)]["seed"].nunique()
    words = f"n = {num} of {num_seeds} seeds" + (f", {without} without a set" if without else "")
    samples.say(axes, words)


def _predicted(axes: Panel, own: pd.DataFrame, level: int, num_seeds: int) -> None:
    """Draw the predicted limits of a level, and in light grey those of earlier ones."""
    operators = [name for name in _LIMITS if (own["operator"] == name).any()]
    for earlier in sorted(set(own["level"])):
        rows = selection.where(own, level=earlier, operator=operators[0])
        if earlier < level and len(rows):
            grid = np.geomspace(rows["distance"].min(), rows["distance"].max(), 200)
            mean = _mean(_curves(rows, "clamped", grid))
            _pieces(axes, grid, mean, np.ones(len(grid), dtype=bool), "limit at earlier levels", color="0.8", linewidth=1)
    for operator in operators:
        rows = selection.where(own, level=level, operator=operator)
        if len(rows):
            _limit(axes, rows, num_seeds, *_LIMITS[operator])
    _counted(axes, selection.where(own, level=level), num_seeds)


def pruning_limits(frames: Frames, sparse_levels: Levels) -> Figure:
    """Ratios by which solutions can be pruned against the distance that this moves them: predicted, and retrained."""
    import pandas as pd

    limits, cuts = (selection.at_last_k(frames[name]) for name in ("limits", "cuts"))
    points = selection.at_last_k(_pruned(frames))
    figure, panels = layout.each_level(pd.concat([limits[["task", "level"]], points[["task", "level"]]]))
    for axis, (task, level) in panels:
        own = selection.where(points, task=task, level=level)
        _predicted(
            axis, selection.where(limits, task=task), level, selection.where(cuts, task=task, level=level)["seed"].nunique()
        )
        for (criterion, matching), (colour, marker) in _POINTS.items():
            chosen = selection.where(own, criterion=criterion, matching=matching)
            label = f"{criterion} pruning, {'matching' if matching else 'not matching'}"
            marks.points(axis, chosen["distance"], chosen["fraction"], style.Look(colour, marker), label)
        if own["distance"].notna().any():
            axis.set_xlim(-0.03 * own["distance"].max(), 1.15 * own["distance"].max())
        axis.set_ylim(-0.03, 1.03)
        axis.set_title(f"{task}, level {level}")
        axis.set_xlabel("distance R to the pruned network")
        axis.set_ylabel("share pruned")
    return figure


def spectra(frames: Frames, sparse_levels: Levels) -> Figure:
    """Share of the spectrum below each value, a line a level, at the last step that was measured of each."""
    frame = tabulation.of_kind(selection.where(frames["spectrum"], vector="rademacher"), "imp")
    frame = frame[frame["num_examples"] == frame.groupby(_SPECTRUM)["num_examples"].transform("max")]
    frame = frame[frame["step"] == frame.groupby(["task", "k", "level"])["step"].transform("max")]
    figure, panels = layout.placed([list(frame["task"].unique())])
    for axis, task in panels:
        own = selection.where(frame, task=task)
        settings = own[["k", "level"]].drop_duplicates().sort_values(["k", "level"])
        looks = style.steps(settings.itertuples(index=False, name=None))
        for (k, level), look in looks.items():
            for operator, (name, dash) in _OPERATORS.items():
                rows = selection.where(own, k=k, level=level, operator=operator).sort_values("node")
                if len(rows):
                    share = rows["weight"].cumsum() / len(rows[["seed", "probe"]].drop_duplicates())
                    x, y = [rows["node"].iloc[0], *rows["node"]], [0.0, *share]
                    label = f"k = {k:,}, level {level}, {name}"
                    every = (len(x) // 12, max(1, len(x) // 6))
                    own_look = replace(look, dash=dash, width=1.2).line()
                    axis.step(x, y, where="post", label=label, markevery=every, **own_look)
        scales.eigenvalue_axis(axis, own["node"])
        samples.seeds_of(axis, own, ["k", "level", "operator"])
        axis.set_title(task)
        axis.set_ylabel("share of eigenvalues")
        axis.set_ylim(-0.03, 1.03)
    return figure


def lemma(frames: Frames, sparse_levels: Levels) -> Figure:
    """How often random subspaces meet the sublevel set of a quadratic well, and where that is predicted to begin."""
    frame = frames["wells"]
    wells = frame[["dimension", "epsilon"]].drop_duplicates()
    figure, panels = layout.placed([list(wells.itertuples(index=False))])
    for axis, (dimension, epsilon) in panels:
        own = selection.where(frame, dimension=dimension, epsilon=epsilon)
        for distance, look in style.steps(own["distance"].unique().tolist()).items():
            rows = selection.where(own, distance=distance).sort_values("subspace")
            axis.plot(
                rows["subspace"],
                rows["probability"],
                label=f"R = {distance:g}",
                markevery=max(1, len(rows) // 8),
                **replace(look, dash=style.SOLID).line(),
            )
            axis.axvline(rows["threshold"].iloc[0], color=look.colour, linestyle=style.DASHED, linewidth=1)
        axis.plot([], [], color=style.GREY, linestyle=style.DASHED, linewidth=1, label="predicted")
        samples.count(axis, "subspace", int(own["num_trials"].max()))
        scales.from_zero(axis)
        axis.set_title(f"{dimension} dimensions, ε = {epsilon:g}")
        axis.set_xlabel("dimension of the subspace")
        axis.set_ylabel("share of subspaces that meet the set")
    return figure
