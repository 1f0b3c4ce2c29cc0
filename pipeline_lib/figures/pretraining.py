"""Accuracy by density after other training, and from any other start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import cycle
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
    "pretraining": {
        "runs": "taught", "tables": ["runs"], "sparse": True, "option": "pretraining",
        "asks": ["references", "lessons"],
        "caption": (
            "Test accuracy of IMP whose networks are first trained on another task, a line a duration (ep: epochs); "
            "ladders rewind to what that leads to. Blue: IMP rewound to step k of its own training, 0 and the reference. "
            "Means and standard deviations over seeds (paper A, figures 9 and A9 to A12)."
        ),
    },
    "sparse_pretraining": {
        "runs": "taught_sparse", "tables": ["runs"], "sparse": True, "option": "pretraining",
        "caption": (
            "Test accuracy of sparse networks that first learn to predict rotations and of the same ones that do "
            "not: IMP networks from step k, the same masks with new initial weights, and random pruning. Means over "
            "seeds, bands of one standard deviation (paper A, figure 10)."
        ),
    },
    "accuracy_by_start": {
        "runs": "from_starts", "tables": ["runs"], "option": "starts",
        "caption": (
            "Test accuracy of networks from the starts that the config lists and other figures do not draw, beside IMP "
            "from the same rewind steps, by density, or where there is one level, by start. Means over seeds, bands or "
            "bars of one standard deviation; the dashed line and grey band are the dense network."
        ),
    },
}  # fmt: skip

Frames = dict[str, "pd.DataFrame"]
Levels = dict[str, int]

_LENGTHS = ("#E69F00", "#D55E00", "#7F2704", "#000000")  # colours of durations, from short to long
_ANEW = "for "  # how the length begins of what is learned before training begins at step 0


def _length(text: str) -> float:
    return float(text.removesuffix("ep"))


def _with_lessons(runs: pd.DataFrame, lessons: Sequence[str] = tuple(comparisons.PRETEXTS)) -> pd.DataFrame:
    """Keep as `pretext` and `length` what the dense network alone learned first; add `rotation`, the length for sparse ones."""
    alone = runs["pretext_length"].str.startswith(_ANEW) & (runs["num_changes"] == 1)
    after_mask = runs["change"].str.startswith("mask")
    dense = alone & ~after_mask & (runs["k"] == 0) & runs["pretext"].isin(lessons)
    sparse = alone & after_mask & (runs["pretext"].map(comparisons.family) == comparisons.family(comparisons.ROTATION))
    length = runs["pretext_length"].str.removeprefix(_ANEW)
    return runs.assign(
        pretext=runs["pretext"].where(dense, ""), length=length.where(dense, ""), rotation=length.where(sparse, "")
    )


def _rewound(own: pd.DataFrame) -> marks.Lines:
    """List the IMP ladders without pretraining."""
    ladders = tabulation.of_kind(selection.where(own, change=""), "imp")
    steps = sorted(ladders[ladders["level"] > 0]["k"].unique())
    looks = [*([style.FIRST] if len(steps) > 1 else []), *style.others(len(steps), [style.COLOURS["imp"]], first=0)]
    return [(selection.where(ladders, k=k), look, f"IMP, k = {k:,}") for k, look in zip(steps, looks, strict=False)]


def pretraining(
    frames: Frames, sparse_levels: Levels, references: Levels | None = None, lessons: Mapping[str, Sequence[str]] | None = None
) -> Figure:
    """Test accuracy of IMP after pretraining the dense network, a line a duration.

    Args:
        frames: `runs`.
        sparse_levels: not used.
        references: rewind step of the ladder to compare with, by task; all of a task that is not named.
        lessons: what networks learn first, by task, as tables word it; those of the paper if not given.
    """
    taught = list(dict.fromkeys(lesson for each in (lessons or {"": tuple(comparisons.PRETEXTS)}).values() for lesson in each))
    runs = tabulation.of_kind(_with_lessons(selection.every_start(frames), taught), "imp")
    chosen = runs[runs["pretext"] != ""]
    pretexts = [pretext for pretext in taught if pretext in set(chosen["pretext"])]
    tasks = list((chosen if len(chosen) else runs)["task"].unique())
    figure, axes = layout.panels(len(tasks), max(1, len(pretexts)))
    for row, task in zip(axes, tasks, strict=False):
        own = selection.where(runs, task=task)
        asked = {0, references[str(task)]} if references and str(task) in references else set(own["k"])
        beside = own[own["k"].isin(asked)]
        for axis, pretext in zip(row, pretexts, strict=False):
            learned = selection.where(own, pretext=pretext)
            lengths = sorted(learned["length"].unique(), key=_length)
            looks = [style.Look(*each) for each in zip(_LENGTHS, style.MARKERS[2:], style.DASHES[1:], strict=False)]
            lines = [(selection.where(learned, length=n), look, n) for n, look in zip(lengths, cycle(looks), strict=False)]
            marks.by_density(axis, f"{task}, {comparisons.PRETEXTS.get(pretext, pretext)}", [*_rewound(beside), *lines])
    return figure


def sparse_pretraining(frames: Frames, sparse_levels: Levels) -> Figure:
    """Test accuracy of sparse networks that learn rotations first, and of the same ones that do not."""
    runs = _with_lessons(selection.every_start(frames))
    figure, places = layout.grid(runs, runs[runs["rotation"] != ""])
    for axis, task, k in places:
        own = selection.where(runs, task=task)
        here, first = selection.where(own, k=k), selection.where(own, change="")["k"].min()
        lengths = sorted(set(here["rotation"]) - {""}, key=_length)
        plain = tabulation.of_kind(selection.where(own, k=first, change=""), "imp")
        lines: marks.Lines = [(plain, style.FIRST, f"IMP, k = {first:,}")]
        for kind in ("imp", "reinit", "random_prune"):
            name, look, rows = style.NAMES[kind], replace(style.LOOKS[kind], dash=style.SOLID), tabulation.of_kind(here, kind)
            if kind != "imp" or first < k:
                lines.append((selection.where(rows, change=""), look, f"{name}, this k"))
            for n, dash in zip(lengths, style.DASHES[1:], strict=False):
                lines.append((selection.where(rows, rotation=n), replace(look, dash=dash), f"{name}, then rotation {n}"))
        marks.by_density(axis, f"{task}, k = {k:,}", lines)
    return figure


def _further(runs: pd.DataFrame) -> pd.DataFrame:
    """Keep the changed starts that no other figure draws, or all where there are none; `name` is the start and its kind."""
    changed = _with_lessons(runs[runs["change"] != ""])
    drawn = changed["change"].isin(comparisons.EVERY) | (changed["pretext"] != "") | (changed["rotation"] != "")
    drawn |= (changed["change"] == comparisons.ROBUST) | changed["further_criterion"].notna()
    drawn |= changed["strategy"].str.startswith(comparisons.STRATEGIES) | changed["rule"].str.startswith(comparisons.ADAPTIVE)
    kinds = ["" if kind in ("dense", "imp") else f", {style.NAMES[kind]}" for kind in changed["kind"]]
    changed = changed.assign(name=[f"{start}{kind}" for start, kind in zip(changed["start"], kinds, strict=True)])
    return changed if drawn.all() else changed[~drawn]


def _places(axes: Panel, title: str, plain: pd.DataFrame, changed: pd.DataFrame) -> None:
    """Draw the accuracy of each start at the frame's only level, one below the other."""
    import pandas as pd

    rows = [(f"IMP, k = {k:,}", style.COLOURS["imp"], group) for k, group in plain.groupby("k")]
    rows += [(str(name), style.PALETTE[2], group) for name, group in changed.groupby("name", sort=False)]
    for place, (_, colour, group) in enumerate(rows):
        mean, deviation = group["accuracy"].mean(), group["accuracy"].std()
        if len(group) > 1:
            axes.hlines([place], mean - deviation, min(mean + deviation, 100), color=colour, linewidth=1)
        marks.points(axes, [mean], [place], style.Look(colour))
    samples.seeds_of(axes, pd.concat([plain, changed]), ["start", "kind"], spread=True)
    axes.set_yticks(range(len(rows)), [name for name, *_ in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel("test accuracy (%)")
    axes.set_title(title)


def accuracy_by_start(frames: Frames, sparse_levels: Levels) -> Figure:
    """Test accuracy of networks from changed starts that no other figure draws: by density, or by start at a single level."""
    runs = selection.every_start(frames)
    further, plain = _further(runs), tabulation.of_kind(selection.where(runs, change=""), "imp")
    tasks, names = list(runs["task"].unique()), list(further["name"].unique())
    figure, axes = layout.panels(1, len(tasks))
    one_level = further["level"].nunique() == 1
    if one_level:
        width, height = figure.get_size_inches()
        longest = max(map(len, names), default=0)
        figure.set_size_inches(
            width + 0.065 * longest * min(len(tasks), layout.ACROSS),
            height * (0.3 + 0.08 * (len(names) + plain["k"].nunique())),
        )
    for axis, task in zip(axes[0], tasks, strict=False):
        changed, own = selection.where(further, task=task), selection.where(plain, task=task)
        ladders = own[own["k"].isin({own["k"].min(), *changed["k"]})]
        marks.dense_band(axis, 100 - selection.dense_errors(frames["runs"], task), across=not one_level)
        if one_level:
            _places(axis, task, ladders[ladders["level"].isin(changed["level"])], changed)
            continue
        lines = _rewound(ladders)
        lines += [
            (selection.where(changed, name=name), look, name) for name, look in zip(names, style.others(len(names)), strict=True)
        ]
        marks.by_density(axis, task, lines)
    return figure
