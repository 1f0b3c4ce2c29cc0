"""Ways to train pruned networks: weight rewinding from each step, learning-rate rewinding, fine-tuning; and adaptive ratios."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np

from pipeline_lib.experiments import comparisons
from pipeline_lib.figures.support import layout, marks, samples, scales, selection, style
from pipeline_lib.tables import tabulation

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from pipeline_lib.figures.support.panel import Panel

# What each figure needs (`experiments.figure_needs`), and what the report says under it.
FIGURES = {
    "magnitudes": {
        "runs": "branches", "tables": ["magnitudes"], "sparse": True, "option": "retraining",
        "measures": ["ladder", "branches"],
        "caption": (
            "Distribution of the magnitudes of weights, over their mean, at an early, a middle and the last level: right "
            "after pruning (projection, over the weights of the level before, so that pruned ones count as zeros), and "
            "after each way to retrain it, over survivors. Above those up to the mean, below all. Means over seeds at "
            "each quantile, bands of one standard deviation (paper C, figures 7, 18 and 19)."
        ),
    },
    "rewound_masks": {
        "runs": "rewound", "tables": ["runs"], "sparse": True, "option": "retraining",
        "caption": (
            "Test error against the share of weights that remain, of a ladder that rewinds learning rates alone, and of "
            "networks with its masks whose weights are rewound to step k and retrained. Means over seeds, bands of one "
            "standard deviation; the dashed line and grey band are the dense network (paper C, figure 8)."
        ),
    },
    "retraining": {
        "runs": "strategies", "tables": ["runs", "magnitudes"], "sparse": True, "option": "retraining",
        "measures": ["ladder", "strategies"],
        "caption": (
            "Left: test error against the share of weights that remain, of ladders that rewind weights, rewind learning "
            "rates alone, or fine-tune (in brackets: learning rate); the dashed line and grey band are the dense network. "
            "Right: the magnitude below which a fifth of the surviving weights lie, over their mean magnitude, by level. "
            "Means over seeds, bands of one standard deviation (paper C, figure 9)."
        ),
    },
    "adaptive": {
        "runs": "adapted", "tables": ["runs", "ratios"], "sparse": True, "option": "adaptive",
        "caption": (
            "Left: test error against the share of weights that remain, of the ladder that prunes by the same ratio at "
            "every level, and of ladders whose ratios the training loss decides; at a level of these, density is the mean "
            "over seeds. The dashed line and grey band are the dense network. Right: the ratio on the way to each level. "
            "Means over seeds, bands of one standard deviation (paper C, figure 10)."
        ),
    },
    "error_by_rewind": {
        "runs": "imp_at_every_k", "tables": ["runs"], "sparse": True, "option": "connectivity",
        "caption": (
            "Test error of IMP against the share of weights that remain, a line a rewind step k. Means over seeds, bands "
            "of one standard deviation; the dashed line and grey band are the dense network of the last k (paper C, "
            "figure 11)."
        ),
    },
}  # fmt: skip

Frames = dict[str, "pd.DataFrame"]
Levels = dict[str, int]
Strategy = tuple[str, style.Look, str]

_WEIGHTS = ("weight rewinding", style.LOOKS["imp"])
_RATES = ("learning-rate rewinding", style.Look("#E69F00", "s", style.DASHED))
_OTHERS = {comparisons.LR_REWINDING: _RATES, "fine_tuning": ("fine-tuning", style.Look("#009E73", "^", style.DOTTED))}
_PROJECTION = style.Look("#000000", "", style.DASHES[3])
_SMALL = 0.2  # the quantile that the next pruning removes


def _strategies(frame: pd.DataFrame, prefix: str = "") -> list[Strategy]:
    """List weight rewinding and what else there is alone, after a prefix: change, look and label."""
    alone = {s for s, change in zip(frame["strategy"], frame["change"], strict=True) if s and change == prefix + s}
    found: list[Strategy] = [("", _WEIGHTS[1], _WEIGHTS[0])]
    for name, (label, look) in _OTHERS.items():
        known = [(s, s.removeprefix(name)) for s in sorted(alone) if s == name or s.startswith(f"{name}(")]
        looks = [look, *(replace(look, marker=m, dash=d) for m, d in zip(style.MARKERS[3:], style.DASHES[3:], strict=False))]
        found += [(prefix + s, own, f"{label} {how}".strip()) for (s, how), own in zip(known, cycle(looks), strict=False)]
    return found


def _at_last_k_of(frame: pd.DataFrame, changes: Iterable[str]) -> pd.DataFrame:
    """Keep tasks with rows of these changes, at the last rewind step that has them."""
    chosen = frame[frame["change"].isin(set(changes) - {""})]
    return frame[frame["k"] == frame["task"].map(chosen.groupby("task")["k"].max())]


def _ladder(runs: pd.DataFrame, change: str) -> pd.DataFrame:
    """Keep a ladder's rows; its dense network is the plain one."""
    return runs[(runs["change"] == change) | ((runs["change"] == "") & (runs["level"] == 0))]


def _errors(axes: Panel, plain: pd.DataFrame, task: str, own: pd.DataFrame, lines: Iterable[Strategy]) -> None:
    """Draw the test error of some ladders by density, the dense band of the plain runs, and what matches it."""
    marks.dense_band(axes, selection.dense_errors(plain, task))
    marks.matching(axes, plain, task)
    drawn = [(_ladder(own, change), look, label) for change, look, label in lines]
    marks.by_density(axes, f"{task}, k = {own['k'].iloc[0]:,}", drawn, "error")


def _distribution(axes: Panel, rows: pd.DataFrame, look: style.Look, label: str) -> None:
    """Draw the mean magnitude at each quantile, with a band of one standard deviation."""
    found, sample = samples.summary(rows, "quantile", "ratio")
    samples.remember(axes, sample)
    axes.plot(found["mean"], found.index, label=label, **look.without_markers().line())
    low, high = (found["mean"] - found["sd"]).clip(lower=0), found["mean"] + found["sd"]
    axes.fill_betweenx(found.index, low, high, color=look.colour, alpha=style.BAND, linewidth=0)


def _levels(own: pd.DataFrame, branches: list[Strategy]) -> list[int]:
    """Choose an early, a middle and the last level that has branches."""
    return selection.spread_out(own[own["change"].isin([change for change, *_ in branches[1:]])]["level"], 3)


def magnitudes(frames: Frames, sparse_levels: Levels) -> Figure:
    """Distribution of magnitudes right after pruning and after each way to retrain, of three levels; small ones above."""
    frame = frames["magnitudes"]
    branches = _strategies(frame, "mask | ")
    frame = _at_last_k_of(frame, [change for change, *_ in branches])
    shown = {str(task): _levels(own, branches) for task, own in frame.groupby("task", sort=False)}
    figure, panels = layout.placed([[(t, n, zoomed) for n in levels] for t, levels in shown.items() for zoomed in (True, False)])
    for axis, (task, level, zoomed) in panels:
        own = selection.where(frame, task=task, level=level)
        _distribution(axis, selection.where(own, change="", of="projection"), _PROJECTION, "projection")
        for change, look, label in branches:
            _distribution(axis, selection.where(own, change=change, of="solution"), look, label)
        small = own[own["ratio"] <= 1]["quantile"]
        highest = small.max() if zoomed and len(small) else 1.0
        axis.set_xlim(*((-0.03, 1.0) if zoomed else (None, None)))
        axis.set_ylim(-0.03 * highest, 1.02 * highest)
        axis.set_title(f"{task}, k = {own['k'].iloc[0]:,}, level {level}")
        axis.set_xlabel("|weight| / mean |weight|")
        axis.set_ylabel("share of weights")
    return figure


def rewound_masks(frames: Frames, sparse_levels: Levels) -> Figure:
    """Test error of the ladder that rewinds learning rates, and of its masks on networks that are rewound themselves."""
    label, look = _RATES
    own_way: Strategy = (comparisons.LR_REWINDING, look, label)
    rewound: Strategy = (f"{comparisons.LR_REWINDING} | mask | weight_rewinding", _WEIGHTS[1], "its masks, weight rewinding")
    runs = _at_last_k_of(tabulation.of_kind(selection.every_start(frames), "imp"), [own_way[0]])
    figure, panels = layout.placed([list(runs["task"].unique())])
    for axis, task in panels:
        _errors(axis, frames["runs"], task, selection.where(runs, task=task), [own_way, rewound])
    return figure


def retraining(frames: Frames, sparse_levels: Levels) -> Figure:
    """Test error by density of the ladder of each way to retrain, and how large its small weights are by level."""
    runs = tabulation.of_kind(selection.every_start(frames), "imp")
    ladders = _strategies(runs)
    runs = _at_last_k_of(runs, [change for change, *_ in ladders])
    sizes = selection.where(frames["magnitudes"], of="solution")
    sizes = sizes[np.isclose(sizes["quantile"], _SMALL)]
    figure, panels = layout.placed([[(task, part) for part in ("error", "sizes")] for task in runs["task"].unique()])
    for axis, (task, part) in panels:
        own = selection.where(runs, task=task)
        if part == "error":
            _errors(axis, frames["runs"], task, own, ladders)
            continue
        k = own["k"].iloc[0]
        for change, look, label in ladders:
            rows = _ladder(selection.where(sizes, task=task, k=k), change)
            marks.line(axis, rows, "level", "ratio", look, label, marks.POSITIVE)
        axis.set_title(f"{task}, k = {k:,}")
        scales.level_axis(axis)
        axis.set_ylabel(f"quantile {_SMALL:g} of |weight|\n/ mean |weight|")
        scales.from_zero(axis)
    return figure


def _fixed_ratio(plain: pd.DataFrame) -> pd.DataFrame:
    """Give the ratio in percent that led to each level of the ladder."""
    ordered = plain.sort_values(["seed", "level"])
    before = ordered.groupby("seed")["density"].shift()
    return ordered.assign(ratio=100 * (1 - ordered["density"] / before))[before.notna()]


def adaptive(frames: Frames, sparse_levels: Levels) -> Figure:
    """Test error by density with one ratio at all levels and with ratios that the loss decides, and those ratios."""
    runs = tabulation.of_kind(selection.every_start(frames), "imp")
    ratios = selection.where(frames["ratios"], chosen=True)
    ratios = ratios.assign(ratio=100 * ratios["fraction"])
    changes = sorted(ratios["change"].unique())
    runs = _at_last_k_of(runs, changes)
    figure, panels = layout.placed([[(task, part) for part in ("error", "ratio")] for task in runs["task"].unique()])
    for axis, (task, part) in panels:
        own = selection.where(runs, task=task)
        k = own["k"].iloc[0]
        named = [("", style.LOOKS["imp"], "fixed ratio"), *zip(changes, style.others(len(changes)), changes, strict=True)]
        lines = [(c, look, f"{name}, retrainings: {own[own['change'] == c]['level'].max()}") for c, look, name in named]
        if part == "error":
            _errors(axis, frames["runs"], task, own, lines)
            continue
        fixed = _fixed_ratio(selection.where(own, change=""))
        tables = [fixed, *(selection.where(ratios, task=task, k=k, change=change) for change in changes)]
        for rows, (_, look, label) in zip(tables, lines, strict=True):
            marks.line(axis, rows, "level", "ratio", look, label, marks.PERCENT)
        axis.set_title(f"{task}, k = {k:,}")
        scales.level_axis(axis)
        axis.set_ylabel("share pruned (%)")
        scales.from_zero(axis)
    return figure


def error_by_rewind(frames: Frames, sparse_levels: Levels) -> Figure:
    """Test error of IMP by density, a line a rewind step."""
    runs = tabulation.of_kind(selection.ladders(frames["runs"]), "imp")
    figure, panels = layout.placed([list(runs["task"].unique())])
    for axis, task in panels:
        own = selection.where(runs, task=task)
        marks.dense_band(axis, selection.dense_errors(frames["runs"], task))
        marks.matching(axis, frames["runs"], task)
        looks = style.steps(own["k"].unique().tolist())
        lines = [(selection.where(own, k=k), look, f"k = {k:,}") for k, look in looks.items()]
        marks.by_density(axis, task, lines, "error")
    return figure
