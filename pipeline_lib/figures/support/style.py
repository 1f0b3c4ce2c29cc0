"""One style for all figures, and byte-stable files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pipeline_lib.figures.support import gaps
from pipeline_lib.tables import rules

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Colour = gaps.Colour
Key = TypeVar("Key")

# Okabe and Ito's colour-blind-safe palette; each kind of network keeps its colour in every figure.
COLOURS = {"imp": "#0072B2", "random_prune": "#E69F00", "reinit": "#009E73", "dense": "#D55E00", "best": "#CC79A7"}
NAMES = {"imp": "IMP", "random_prune": "random pruning", "reinit": "random reinit", "dense": "dense", "best": "IMP, best k"}
SPLITS = {"train": "#CC79A7", "test": "#D55E00", "batch": "#56B4E9"}
FIRST = "#56B4E9"  # IMP at the first rewind step, where one other step is drawn in IMP's blue
REWINDS = ("#762A83", "#E69F00", "#009E73")  # the first rewind step, those between, and the last: the colours of paper C
PALETTE = ("#E69F00", "#009E73", "#D55E00", "#CC79A7", "#000000")  # what is compared with IMP
BAND, SMALL = 0.2, 7  # opacity of bands, font size of long legends and of notes


@contextmanager
def applied() -> Iterator[None]:
    """Draw without a display, in this project's style; settings are put back afterwards."""
    import matplotlib as mpl
    import seaborn as sns

    mpl.use("Agg")
    style: dict[str, object] = {
        "svg.hashsalt": "rewind", "svg.fonttype": "path", "font.family": "DejaVu Sans", "font.size": 9, "axes.titlesize": 10,
        "axes.spines.top": False, "axes.spines.right": False, "lines.linewidth": 1.6, "savefig.dpi": 150,
        "legend.frameon": True, "legend.framealpha": 0.7, "legend.edgecolor": "none",
    }  # fmt: skip
    with mpl.rc_context(), sns.axes_style("ticks"):
        mpl.rcParams.update(style)  # type: ignore[arg-type]
        yield


def save(figure: Figure, path: Path, suffix: str, source: str | None = None) -> None:
    """Say what could not be drawn, and save without dates and versions, so that the same figure has the same bytes.

    Args:
        figure: what to save.
        path: where to.
        suffix: svg or png.
        source: what the file says of where it comes from.
    """
    gaps.explain(figure)
    metadata: dict[str, str | None] = {
        "Source": source,
        **({"Date": None, "Creator": None} if suffix == "svg" else {"Software": None}),
    }
    figure.savefig(path, format=suffix, metadata=metadata, bbox_inches="tight")


def close(figure: Figure) -> None:
    """Forget a figure, which pyplot keeps otherwise."""
    import matplotlib.pyplot as plt

    plt.close(figure)


def averaged(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep the rows whose BatchNorm statistics are averaged like weights; the other variant is a row of its own in the tables."""
    return frame[frame["batchnorm"] == "averaged"]


def at_first_k(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep each task's rows at its first rewind step."""
    return frame[frame["k"] == frame.groupby("task")["k"].transform("min")]


def at_last_k(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep each task's rows at its last rewind step."""
    return frame[frame["k"] == frame.groupby("task")["k"].transform("max")]


def at_sparse_level(frame: pd.DataFrame, sparse_levels: Mapping[str, int]) -> pd.DataFrame:
    """Keep each task's rows at its sparse level."""
    return frame[frame["level"] == frame["task"].map(dict(sparse_levels))]


def select(frame: pd.DataFrame, **values: object) -> pd.DataFrame:
    """Keep the rows that have these values."""
    for name, value in values.items():
        frame = frame[frame[name] == value]
    return frame


def spread_out(values: Iterable[int], most: int) -> list[int]:
    """Choose at most so many of the values, the first and the last among them, evenly spaced."""
    found = sorted(set(values))
    steps = min(most, len(found)) - 1
    return [found[round(i * (len(found) - 1) / max(1, steps))] for i in range(steps + 1)]


def ladders(runs: pd.DataFrame) -> pd.DataFrame:
    """Keep the ladder's own order; add accuracies, errors and densities in percent, equal ones (to rounding) at one place."""
    own = runs[runs["order"] == runs["order"].min()]
    densities = own.groupby(["task", "level"])["density"].transform("mean")
    return own.assign(accuracy=100 * (1 - own["test_error"]), error=100 * own["test_error"], percent=100 * densities)


def every_start(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Join the ladders' runs from plain and changed starts.

    A change may prune further, so densities are equal only within one.
    """
    import pandas as pd

    runs = ladders(pd.concat([frames["runs"], frames["changed_runs"]]))
    return runs.assign(percent=100 * runs.groupby(["task", "change", "level"])["density"].transform("mean"))


def panels(num_rows: int, num_columns: int) -> tuple[Figure, list[list[Axes]]]:
    """Make a grid of panels of one size; where there is nothing to draw, of one panel, which will say so."""
    import matplotlib.pyplot as plt

    num_rows, num_columns = max(1, num_rows), max(1, num_columns)
    size = (3.6 * num_columns + 0.6, 2.7 * num_rows + 0.4)
    figure, axes = plt.subplots(num_rows, num_columns, figsize=size, squeeze=False, layout="constrained")
    return figure, [list(row) for row in axes]


def placed(rows: Sequence[Sequence[Key]]) -> tuple[Figure, list[tuple[Axes, Key]]]:
    """Make a panel for each key, in rows of any lengths."""
    rows = [row for row in rows if row] or [[]]
    figure, axes = panels(len(rows), max(map(len, rows)))
    for row, keys in zip(axes, rows, strict=False):
        for axis in row[len(keys) :] if keys else ():
            axis.set_visible(False)
    return figure, [(axis, key) for row, keys in zip(axes, rows, strict=False) for axis, key in zip(row, keys, strict=False)]


def each_level(frame: pd.DataFrame, most: int = 5) -> tuple[Figure, list[tuple[Axes, tuple[str, int]]]]:
    """Make a panel for each level of each task, at most so many in a row and about as many in each."""
    rows: list[list[tuple[str, int]]] = []
    for task, own in frame.groupby("task", sort=False):
        found = [(str(task), level) for level in sorted(own["level"].unique().tolist())]
        width = -(-len(found) // -(-len(found) // most))
        rows += [found[i : i + width] for i in range(0, len(found), width)]
    return placed(rows)


def grid(runs: pd.DataFrame, chosen: pd.DataFrame) -> tuple[Figure, list[tuple[Axes, str, int]]]:
    """Make a column of panels for each task with chosen rows, one a rewind step; where none has, for each task's last step."""
    chosen = chosen if len(chosen) else runs[runs["k"] == runs.groupby("task")["k"].transform("max")]
    steps = {task: sorted(own["k"].unique().tolist()) for task, own in chosen.groupby("task", sort=False)}
    figure, axes = panels(max(map(len, steps.values()), default=0), len(steps))
    for column, ks in enumerate(steps.values()):
        for row in axes[len(ks) :]:
            row[column].set_visible(False)
    return figure, [(axes[i][column], str(task), k) for column, (task, ks) in enumerate(steps.items()) for i, k in enumerate(ks)]


def line(axes: Axes, frame: pd.DataFrame, x: str, y: str, colour: Colour, label: str, marker: str = "", dash: str = "-") -> None:
    """Draw the mean of `y` at each `x` with a band of one standard deviation over the rows."""
    group = frame.groupby(x)[y]
    mean, deviation = group.mean(), group.std().fillna(0)
    axes.plot(mean.index, mean, color=colour, label=label, marker=marker or None, markersize=4, linestyle=dash)
    axes.fill_between(mean.index, mean - deviation, mean + deviation, color=colour, alpha=BAND, linewidth=0)
    gaps.mark_partly_known(axes, group, colour)


def by_block(frame: pd.DataFrame, y: str, label: str, top: float | None = None) -> Figure:
    """Draw the mean of `y` at each block of dense networks, and a band of one deviation: a panel a task, a line a rewind step."""
    frame = frame[frame["level"] == 0]
    tasks = list(frame["task"].unique())
    figure, axes = panels(1, len(tasks))
    for axis, task in zip(axes[0], tasks, strict=False):
        own = frame[frame["task"] == task]
        blocks, steps = list(own["block"].unique()), sorted(own["k"].unique())
        own = own.assign(place=own["block"].map({block: i for i, block in enumerate(blocks)}))
        for k, shade in zip(steps, shades(len(steps), COLOURS["dense"]), strict=True):
            line(axis, own[own["k"] == k], "place", y, shade, f"k = {k}", "o")
        axis.set_title(task)
        axis.set_xticks(range(len(blocks)), [block.removeprefix("body.") for block in blocks], rotation=90)
        axis.set_ylabel(label)
        axis.set_ylim(bottom=0, top=top)
        axis.legend()
    return figure


def deviation_of(values: pd.Series) -> float:
    """Give the standard deviation, 0 for a single value."""
    return float(values.std()) if len(values) > 1 else 0.0


def dense_errors(runs: pd.DataFrame, task: str) -> pd.Series:
    """Give the errors, in percent, of a task's dense reference: one network a seed, in every figure the same."""
    return 100 * rules.dense(runs[runs["task"] == task])["test_error"]


def dense_band(axes: Axes, values: pd.Series, label: str = "dense, ± 1 sd", across: bool = True) -> None:
    """Draw the dense network's mean and standard deviation across the panel, or up it."""
    mean, deviation = values.mean(), deviation_of(values)
    draw, fill = (axes.axhline, axes.axhspan) if across else (axes.axvline, axes.axvspan)
    draw(mean, color="0.25", linewidth=1, linestyle="--", label=label)
    fill(mean - deviation, mean + deviation, color="0.5", alpha=BAND, linewidth=0)


def density_axis(axes: Axes, densities: Iterable[float]) -> None:
    """Put the densities in percent on a falling log axis, with ticks at the measured ones."""
    percents = sorted({round(100 * density, 6) for density in densities if density > 0}, reverse=True)
    axes.set_xlabel("weights remaining (%)")
    if not percents:
        return
    axes.set_xscale("log", nonpositive="mask")
    named = {f"{value:.3g}": value for value in percents}
    shown = list(named)[:: -(-len(named) // 9)]
    axes.set_xticks([named[name] for name in shown], shown, rotation=45)
    axes.set_xticks([], minor=True)
    axes.set_xlim(max(percents) * 1.08, min(percents) / 1.08)


def by_density(
    axes: Axes, title: str, lines: Iterable[tuple[pd.DataFrame, Colour, str, str]], of: str = "accuracy", markers: str = "."
) -> None:
    """Draw accuracy, or error, against density: rows, colour, label and line style of each line that has rows.

    Markers are one for all lines, or one for each.
    """
    drawn = [each for each in lines if len(each[0])]
    for i, (rows, colour, label, dash) in enumerate(drawn):
        line(axes, rows, "percent", of, colour, label, markers[i % len(markers)], dash)
    density_axis(axes, {percent / 100 for rows, *_ in drawn for percent in rows["percent"]})
    axes.set_title(title)
    axes.set_ylabel(f"test {of} (%)")


def legend_below(figure: Figure) -> None:
    """Add one legend for all panels below them, in as many columns as fit."""
    found = {label: handle for axes in figure.axes for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    num_columns = max(1, int(figure.get_figwidth() / (0.5 + 0.055 * max(map(len, found), default=0))))
    figure.set_figheight(figure.get_figheight() + 0.16 * -(-len(found) // num_columns))
    figure.legend(found.values(), found.keys(), loc="outside lower center", ncols=num_columns, fontsize=SMALL)


def step_axis(axes: Axes, last: float) -> None:
    """Stretch the earliest steps: the axis is linear up to step 10, and has one length a decade after it."""
    axes.set_xscale("symlog", linthresh=10, subs=range(2, 10))
    shown = [0, *(10**i for i in range(1, 9) if 10**i <= max(last, 10))]
    axes.set_xticks(shown, [f"{step:,}" for step in shown])
    axes.set_xlim(0, 1.1 * last)
    axes.set_xlabel("step")


def level_axis(axes: Axes) -> None:
    """Put ticks at whole levels."""
    axes.locator_params(axis="x", integer=True)
    axes.set_xlabel("level")


def rewind_axis(axes: Axes, steps: list[int]) -> None:
    """Space the rewind steps evenly, as the papers do; plot positions are indices into `steps`."""
    axes.set_xticks(range(len(steps)), [str(step) for step in steps])
    axes.set_xlabel("rewind step k")


def rewind_colours(steps: Iterable[int]) -> dict[int, Colour]:
    """Give each rewind step its colour: purple for the first, green for the last, shades of orange between."""
    found = sorted(steps)
    first, between, last = REWINDS
    middle = shades(max(0, len(found) - 2), between)
    colours: list[Colour] = [first, *middle, last]
    return dict(zip(found, colours[-len(found) :], strict=True))


def shades(num: int, colour: str) -> list[tuple[float, ...]]:
    """Make shades of a colour from light to dark, one a rewind step."""
    import seaborn as sns

    return list(sns.light_palette(colour, n_colors=num + 2)[2:])
