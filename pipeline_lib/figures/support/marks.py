"""What is drawn in several figures: means with bands, and the dense network."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pipeline_lib.figures.support import gaps, layout, scales, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Colour = gaps.Colour


def line(axes: Axes, frame: pd.DataFrame, x: str, y: str, colour: Colour, label: str, marker: str = "", dash: str = "-") -> None:
    """Draw the mean of `y` at each `x` with a band of one standard deviation over the rows."""
    group = frame.groupby(x)[y]
    mean, deviation = group.mean(), group.std().fillna(0)
    axes.plot(mean.index, mean, color=colour, label=label, marker=marker or None, markersize=4, linestyle=dash)
    axes.fill_between(mean.index, mean - deviation, mean + deviation, color=colour, alpha=style.BAND, linewidth=0)
    gaps.mark_partly_known(axes, group, colour)


def by_block(frame: pd.DataFrame, y: str, label: str, top: float | None = None) -> Figure:
    """Draw the mean of `y` at each block of dense networks, and a band of one deviation: a panel a task, a line a rewind step."""
    frame = frame[frame["level"] == 0]
    tasks = list(frame["task"].unique())
    figure, axes = layout.panels(1, len(tasks))
    for axis, task in zip(axes[0], tasks, strict=False):
        own = frame[frame["task"] == task]
        blocks, steps = list(own["block"].unique()), sorted(own["k"].unique())
        own = own.assign(place=own["block"].map({block: i for i, block in enumerate(blocks)}))
        for k, shade in zip(steps, style.shades(len(steps), style.COLOURS["dense"]), strict=True):
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


def dense_band(axes: Axes, values: pd.Series, label: str = "dense, ± 1 sd", across: bool = True) -> None:
    """Draw the dense network's mean and standard deviation across the panel, or up it."""
    mean, deviation = values.mean(), deviation_of(values)
    draw, fill = (axes.axhline, axes.axhspan) if across else (axes.axvline, axes.axvspan)
    draw(mean, color="0.25", linewidth=1, linestyle="--", label=label)
    fill(mean - deviation, mean + deviation, color="0.5", alpha=style.BAND, linewidth=0)


def by_density(
    axes: Axes, title: str, lines: Iterable[tuple[pd.DataFrame, Colour, str, str]], of: str = "accuracy", markers: str = "."
) -> None:
    """Draw accuracy, or error, against density: rows, colour, label and line style of each line that has rows.

    Markers are one for all lines, or one for each.
    """
    drawn = [each for each in lines if len(each[0])]
    for i, (rows, colour, label, dash) in enumerate(drawn):
        line(axes, rows, "percent", of, colour, label, markers[i % len(markers)], dash)
    scales.density_axis(axes, {percent / 100 for rows, *_ in drawn for percent in rows["percent"]})
    axes.set_title(title)
    axes.set_ylabel(f"test {of} (%)")
