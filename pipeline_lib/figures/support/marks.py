"""What is drawn in several figures: means with their spread, the dense network, and thresholds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline_lib.core.definitions import STABLE_BELOW
from pipeline_lib.figures.support import gaps, samples, scales, style
from pipeline_lib.figures.support.remembered import Spread
from pipeline_lib.figures.support.style import Look
from pipeline_lib.tables import rules

if TYPE_CHECKING:
    import pandas as pd

    from pipeline_lib.figures.support.panel import Panel

Range = tuple[float, float]
Lines = list[tuple["pd.DataFrame", Look, str]]

# What a value can be: bands end there.
ANY, POSITIVE, SHARE, PERCENT = (-np.inf, np.inf), (0.0, np.inf), (0.0, 1.0), (0.0, 100.0)
_MOST_BANDS = 3  # of more, one sees none: they become bars
_MOST_MARKERS = 12  # of a line with more points, every few ones
_BESIDE = 4.0  # points from the first bar to the last: less than a marker is wide


def line(axes: Panel, frame: pd.DataFrame, x: str, y: str, look: Look, label: str, within: Range = ANY) -> None:
    """Draw the mean of `y` at each `x`, by seed first, and one standard deviation; the panel's note says of how many.

    Args:
        axes: where to.
        frame: one row a measurement, with `seed`.
        x: the column of places.
        y: the column of values.
        look: of the line.
        label: in the legend.
        within: the lowest and the highest value that there can be.
    """
    found, sample = samples.summary(frame, x, y)
    samples.remember(axes, sample)
    every = max(1, len(found) // 8) if len(found) > _MOST_MARKERS else 1
    (drawn,) = axes.plot(found.index, found["mean"], label=label, markevery=every, **look.line())
    places, mean, sd = (np.asarray(values, dtype=float) for values in (found.index, found["mean"], found["sd"]))
    spread = Spread(drawn, places, (mean - sd).clip(*within), (mean + sd).clip(*within))
    axes.spreads.append(spread)
    gaps.mark_partly_known(axes, frame.groupby(x)[y], found["mean"], look.colour)


def _bars(axes: Panel, spreads: list[Spread]) -> None:
    """Draw bars at some places of each line, side by side within their markers."""
    from matplotlib.transforms import ScaledTranslation

    figure = axes.get_figure(root=True)
    assert figure is not None, "panels are of a figure"

    for i, each in enumerate(spreads):
        num = int(np.isfinite(each.low).sum())
        every = 1 if num <= 16 else num // 8
        at = np.flatnonzero(np.isfinite(each.low))[(i * every // len(spreads)) % every :: every]
        bars = axes.vlines(each.x[at], each.low[at], each.high[at], color=each.line.get_color(), linewidth=1, alpha=0.8)
        aside = _BESIDE * (i / (len(spreads) - 1) - 0.5) * (every == 1)
        bars.set_transform(axes.transData + ScaledTranslation(aside / 72, 0, figure.dpi_scale_trans))


def spread(axes: Panel) -> None:
    """Draw the standard deviations of a panel's lines: as bands if they are few, else as bars."""
    known = [each for each in axes.spreads if np.isfinite(each.low).any()]
    if len(known) > _MOST_BANDS:
        return _bars(axes, known)
    for each in known:
        axes.fill_between(each.x, each.low, each.high, color=each.line.get_color(), alpha=style.BAND, linewidth=0)
    return None


def dense_band(axes: Panel, values: pd.Series, label: str = "dense", across: bool = True) -> None:
    """Draw the dense network's mean and standard deviation across the panel, or up it."""
    mean, known = values.mean(), int(values.notna().sum())
    draw, fill = (axes.axhline, axes.axhspan) if across else (axes.axvline, axes.axvspan)
    more = ", ± 1 sd" if known > 1 else ""
    draw(mean, color="0.25", linewidth=1, linestyle=style.DASHED, label=f"{label}{more}")
    if known > 1:
        fill(mean - values.std(), mean + values.std(), color="0.5", alpha=style.BAND, linewidth=0)


def matching(axes: Panel, runs: pd.DataFrame, task: str, accuracy: bool = False) -> None:
    """Draw the highest error that matches dense networks, or the lowest accuracy."""
    highest = 100 * rules.highest_matching(runs, task)
    if np.isfinite(highest):
        value = 100 - highest if accuracy else highest
        axes.axhline(value, color=style.GREY, linewidth=1, linestyle=style.DOTTED, label="matching from here on")


def stable(axes: Panel) -> None:
    """Draw the instability below which networks are stable."""
    limit = 100 * STABLE_BELOW
    axes.axhline(limit, color=style.GREY, linewidth=1, linestyle=style.DOTTED, label=f"stable below {limit:g} points")


def by_density(axes: Panel, title: str, lines: Iterable[tuple[pd.DataFrame, Look, str]], of: str = "accuracy") -> None:
    """Draw accuracy, or error, against density: rows, look and label of each line that has rows."""
    drawn = [each for each in lines if len(each[0])]
    for rows, look, label in drawn:
        line(axes, rows, "percent", of, look, label, PERCENT)
    scales.density_axis(axes, {percent / 100 for rows, *_ in drawn for percent in rows["percent"]})
    axes.set_title(title)
    axes.set_ylabel(f"test {of} (%)")


def points(axes: Panel, x: Any, y: Any, look: Look, label: str | None = None) -> None:
    """Draw points without a line."""
    axes.plot(x, y, label=label, **{**look.line(), "linestyle": ""})
