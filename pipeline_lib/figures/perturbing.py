"""Sparse networks from perturbed starts: accuracy by density, and against the size of the perturbation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pipeline_lib.experiments import comparisons
from pipeline_lib.figures.support import layout, marks, samples, selection, style
from pipeline_lib.tables import tabulation

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from pipeline_lib.figures.support.panel import Panel

# What each figure needs (`experiments.figure_needs`), and what the report says under it.
FIGURES = {
    "signs_and_magnitudes": {
        "runs": "perturbed_signs", "tables": ["runs"], "sparse": True, "option": "perturbed",
        "caption": (
            "Test accuracy of IMP networks whose signs and magnitudes come from step k, from initialisation (0) or from a "
            "fresh one, beside IMP rewound to the first step and to k. Means over seeds, bands of one standard deviation "
            "(paper A, figures 4 and A4)."
        ),
    },
    "shuffles": {
        "runs": "perturbed_by_shuffles", "tables": ["runs"], "sparse": True, "option": "perturbed",
        "caption": (
            "Test accuracy of IMP networks whose surviving weights at step k are permuted inside each part of the "
            "network, beside IMP rewound to the first step and to k. Means over seeds, bands of one standard deviation "
            "(paper A, figures 5 and A5)."
        ),
    },
    "same_sign_shuffles": {
        "runs": "perturbed_keeping_signs", "tables": ["runs"], "sparse": True, "option": "perturbed",
        "caption": (
            "As shuffles, with weights that change places only with others of their sign, and with permuted magnitudes "
            "under the signs of initialisation (paper A, figures 6 and A6)."
        ),
    },
    "noise": {
        "runs": "perturbed_by_noise", "tables": ["runs"], "sparse": True, "option": "perturbed",
        "caption": (
            "Test accuracy of IMP networks with Gaussian noise on their weights at step k, in multiples of each layer's "
            "standard deviation σ at initialisation, beside IMP rewound to the first step and to k. Means over seeds, "
            "bands of one standard deviation (paper A, figures 7 and A7)."
        ),
    },
    "effective_deviation": {
        "runs": "perturbed_at_sparse_level", "tables": ["perturbations", "runs", "correlations"],
        "sparse": True, "option": "perturbed",
        "caption": (
            "Test accuracy at the sparse level against the effective standard deviation of the perturbation, that of the "
            "change over all surviving weights. A point is a perturbation: means over seeds, bars of one standard "
            "deviation. Above the panels: Pearson's r with a 95 % bootstrap interval and p over the fourteen "
            "perturbations of the paper, or over all that were measured where not all fourteen were; \"other\" ones are "
            "outside those fourteen. Lines are IMP without perturbation (paper A, figures 8 and A8)."
        ),
    },
    "perturbation_sizes": {
        "runs": "nothing", "tables": ["perturbations"], "sparse": True, "option": "perturbed", "sizes": "sizes_at_sparse_level",
        "caption": (
            "Effective standard deviation of each perturbation at the sparse level: that of the change over all surviving "
            "weights. Means over seeds, bars of one standard deviation (paper A, figure 8, horizontal axis)."
        ),
    },
}  # fmt: skip

Frames = dict[str, "pd.DataFrame"]
Levels = dict[str, int]

# Name, calls, colour and marker of each family of perturbations; "other" is what figure 8 of the paper leaves out.
_FAMILIES: tuple[tuple[str, Mapping[str, str], str, str], ...] = (
    ("signs", comparisons.SIGNS, "#009E73", "o"),
    ("shuffles", comparisons.SHUFFLES, "#E69F00", "s"),
    ("same sign", comparisons.SAME_SIGN, "#CC79A7", "^"),
    ("noise", comparisons.NOISE, "#D55E00", "D"),
    ("other", {}, "#000000", "X"),
)


def _rewound(plain: pd.DataFrame, k: int) -> list[tuple[int, style.Look, str]]:
    """Name IMP without a perturbation: rewind step, look and label, of the first step and of this one."""
    first = min([k, *plain["k"].unique().tolist()])
    return [(first, style.FIRST, f"IMP, k = {first:,}")] * (first < k) + [(k, style.LOOKS["imp"], "IMP, this k")]


def _by_density(frames: Frames, named: Mapping[str, str], looks: Sequence[style.Look]) -> Figure:
    """Draw a row of panels a rewind step: IMP rewound to the first step and to this one, and the perturbations of the latter."""
    imp = tabulation.of_kind(selection.every_start(frames), "imp")
    figure, places = layout.grid(imp, imp[imp["change"].isin(named)])
    for axis, task, k in places:
        own = selection.where(imp, task=task)
        plain = selection.where(own, change="")
        lines: marks.Lines = [(selection.where(plain, k=at), look, label) for at, look, label in _rewound(plain, k)]
        calls = zip(named.items(), looks, strict=True)
        lines += [(selection.where(own, k=k, change=call), look, name) for (call, name), look in calls]
        marks.by_density(axis, f"{task}, k = {k:,}", lines)
    return figure


def signs_and_magnitudes(frames: Frames, sparse_levels: Levels) -> Figure:
    """Test accuracy of IMP networks whose signs and magnitudes come from different points of training."""
    return _by_density(frames, comparisons.SIGNS | comparisons.INITIAL, style.others(4))


def shuffles(frames: Frames, sparse_levels: Levels) -> Figure:
    """Test accuracy of IMP networks whose weights are shuffled."""
    return _by_density(frames, comparisons.SHUFFLES | comparisons.NEURONS, style.others(5))


def same_sign_shuffles(frames: Frames, sparse_levels: Levels) -> Figure:
    """Test accuracy of IMP networks whose weights are shuffled and whose signs are not."""
    return _by_density(frames, comparisons.SAME_SIGN, style.others(4))


def noise(frames: Frames, sparse_levels: Levels) -> Figure:
    """Test accuracy of IMP networks with Gaussian noise on their weights."""
    return _by_density(frames, comparisons.NOISE, list(style.steps(range(len(comparisons.NOISE)), 2).values()))


def _family(call: str) -> str:
    return next((name for name, calls, *_ in _FAMILIES if call in calls), "other")


def _sizes(frame: pd.DataFrame, sparse_levels: Levels) -> pd.DataFrame:
    """Keep the perturbations of whole IMP networks at the sparse level; add the perturbation's `family`."""
    whole = selection.at_sparse_level(tabulation.of_kind(selection.where(frame, layer="all"), "imp"), sparse_levels)
    return whole.assign(family=[_family(call) for call in whole["change"]])


def _with_accuracy(sizes: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Give a perturbation's mean deviation and accuracy and their standard deviations, one row each."""
    by = ["task", "k", "change"]
    x, y = (frame.groupby(by)[name].agg(["mean", "std"]) for frame, name in ((sizes, "deviation"), (runs, "accuracy")))
    found = x.add_suffix("_x").join(y.add_suffix("_y"), how="inner").reset_index()
    return found.assign(family=[_family(call) for call in found["change"]])


def _points(axes: Panel, frame: pd.DataFrame) -> None:
    """Draw `mean_x` and `mean_y` with bars of one standard deviation, each family in its colour."""
    for name, _, colour, marker in _FAMILIES:
        p = selection.where(frame, family=name)
        if len(p):
            axes.errorbar(p["mean_x"], p["mean_y"], p["std_y"], p["std_x"], fmt="none", ecolor=colour, elinewidth=0.8)
            marks.points(axes, p["mean_x"], p["mean_y"], style.Look(colour, marker), name)


def _correlation(rows: pd.DataFrame) -> str:
    """Word the correlation over the paper's perturbations, or else over all."""
    rows = rows[rows["set"] == ("paper" if (rows["set"] == "paper").any() else "all")]
    if rows.empty or rows["r"].isna().all():
        return "no correlation: too few perturbations"
    c = rows.iloc[0]
    return f"r = {c['r']:.2f} [{c['low']:.2f}, {c['high']:.2f}], p = {c['p']:.2g}".replace("-", "−")


def effective_deviation(frames: Frames, sparse_levels: Levels) -> Figure:
    """Mean test accuracy against the mean effective deviation of each perturbation, at the sparse level."""
    runs = selection.at_sparse_level(tabulation.of_kind(selection.every_start(frames), "imp"), sparse_levels)
    sizes = _sizes(frames["perturbations"], sparse_levels)
    points = _with_accuracy(sizes, runs)
    correlations = selection.at_sparse_level(frames["correlations"], sparse_levels)
    figure, places = layout.grid(runs, points)
    for axis, task, k in places:
        plain = selection.where(runs, task=task, change="")
        for at, look, label in _rewound(plain, k):
            mean = selection.where(plain, k=at)["accuracy"].mean()
            axis.axhline(mean, color=look.colour, linestyle=look.dash, label=label)
        _points(axis, selection.where(points, task=task, k=k))
        samples.seeds_of(axis, selection.where(sizes, task=task, k=k), ["change"], spread=True)
        density = selection.where(runs, task=task)["percent"].iloc[0]
        text = _correlation(selection.where(correlations, task=task, k=k))
        axis.set_title(f"{task}, k = {k:,}, {density:.3g} %\n{text}")
        axis.set_xlabel("effective standard deviation")
        axis.set_ylabel("test accuracy (%)")
    return figure


def _listed(changes: set[str]) -> dict[str, str]:
    """Name perturbations in the families' order; others follow as a config words them."""
    known = {call: name for call, name in comparisons.EVERY.items() if call in changes}
    return known | {call: call for call in sorted(changes - set(known))}


def perturbation_sizes(frames: Frames, sparse_levels: Levels) -> Figure:
    """Effective deviation of each perturbation at the sparse level."""
    sizes = _sizes(frames["perturbations"], sparse_levels)
    named = _listed(set(sizes["change"]))
    sizes = sizes.assign(place=sizes["change"].map({call: place for place, call in enumerate(named)}))
    figure, places = layout.grid(sizes, sizes)
    width, height = figure.get_size_inches()
    figure.set_size_inches(1.4 * width, height * (0.25 + 0.07 * len(named)))
    for axis, task, k in places:
        own = selection.where(sizes, task=task, k=k)
        summary = own.groupby(["place", "family"])["deviation"].agg(["mean", "std"]).add_suffix("_x")
        _points(axis, summary.reset_index().rename(columns={"place": "mean_y"}).assign(std_y=0))
        samples.seeds_of(axis, own, ["change"], spread=True)
        axis.set_title(f"{task}, k = {k:,}, {100 * own['density'].iloc[0]:.3g} %")
        axis.set_xlabel("effective standard deviation")
        axis.set_yticks(range(len(named)), list(named.values()))
        axis.set_ylim(len(named) - 0.5, -0.5)
        axis.axvline(0, color="0.85", linewidth=0.8, zorder=0)
    return figure
