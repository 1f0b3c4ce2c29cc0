"""What a figure cannot draw: points without a value, and zeros on a log axis, are marked, and no panel is blank without words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline_lib.core.definitions import NEAR_CHANCE
from pipeline_lib.figures.support.style import Colour, Look

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.lines import Line2D
    from matplotlib.transforms import Transform
    from pandas.core.groupby import SeriesGroupBy

    from pipeline_lib.figures.support.panel import Panel


NO_VALUE = "no value: diverged or no weight left"
LOST = "runs that diverged or have no weight left"
OFF_AXIS = "at the edge: zero, off the log axis"
NOTHING = "nothing was measured"
HOLLOW = "near chance: no verdict"  # how hollow points are explained


@dataclass(frozen=True)
class _Points:
    """A line's points: those that can be drawn, those without a value, and those that a log axis lacks."""

    line: Line2D
    x: np.ndarray
    drawn: np.ndarray
    missing: np.ndarray
    off: np.ndarray


def _points(axes: Panel, line: Line2D) -> _Points:
    x, y = (np.asarray(line.get_data(orig=False)[i], dtype=float) for i in (0, 1))
    off = ((x <= 0) & (axes.get_xscale() == "log")) | ((y <= 0) & (axes.get_yscale() == "log"))
    missing = ~off & ~(np.isfinite(x) & np.isfinite(y))
    return _Points(line, x, ~off & ~missing, missing, off)


def _crosses(axes: Panel, x: np.ndarray, row: int, line: Line2D, transform: Transform) -> None:
    if len(x):  # a line without points takes room in the layout
        (drawn,) = axes.plot(
            x, np.full(len(x), 0.02 + 0.03 * row), transform=transform, scalex=axes.get_autoscalex_on(), scaley=False
        )
        drawn.set(color=line.get_color(), marker="x", markersize=4, linestyle="", clip_on=transform != axes.transAxes)


def _mark(axes: Panel, found: list[_Points]) -> None:
    """Draw a cross on the lower edge for each point that is not there, in its line's colour; each line has its own height."""
    edge = 1.0 if axes.xaxis_inverted() else 0.0  # where zero would be
    for row, points in enumerate(found):
        _crosses(axes, points.x[points.missing & np.isfinite(points.x)], row, points.line, axes.get_xaxis_transform())
        _crosses(axes, np.full(int(points.off.any()), edge), row, points.line, axes.transAxes)
    for words, there in ((LOST, any(p.missing.any() for p in found)), (OFF_AXIS, any(p.off.any() for p in found))):
        if there:
            axes.plot([], [], color="0.4", marker="x", markersize=4, linestyle="", label=words)


def _has_more(axes: Panel) -> bool:
    """Whether a panel has anything but lines: words, tables, images, areas."""
    areas = [np.isfinite(each.get_datalim(axes.transData).get_points()).all() for each in axes.collections]
    arrays = [each.get_array() for each in axes.collections]
    filled = [array is None or np.isfinite(np.ma.filled(array, np.nan)).any() for array in arrays]
    words = any(text.get_text() for text in axes.texts)
    return bool(words or axes.tables or axes.images or any(a and f for a, f in zip(areas, filled, strict=True)))


def mark_partly_known(axes: Panel, group: SeriesGroupBy[Any, Any], mean: pd.Series, colour: Colour) -> None:
    """Mark means that some of their runs have no value for, as a gap is; the panel's note says of how many they are.

    Args:
        axes: where the means are drawn.
        group: the values by place.
        mean: what is drawn there.
        colour: of their line.
    """
    known, asked = group.count(), group.size()
    partly = mean.index[(known < asked) & mean.notna()]
    if len(partly):
        axes.plot(partly, [float("nan")] * len(partly), color=colour)


def hollow_near_chance(axes: Panel, frame: pd.DataFrame, x: str, y: str, look: Look) -> None:
    """Make the points hollow at which nothing can be said of stability, as networks are about as good as guessing."""
    means = frame.groupby([x, "seed"])[[y, "headroom"]].mean().groupby(x).mean()
    means = means[means["headroom"] < NEAR_CHANCE]
    if len(means):
        label = None if HOLLOW in axes.get_legend_handles_labels()[1] else HOLLOW
        (points,) = axes.plot(means.index, means[y], color=look.colour, label=label)
        points.set(marker=look.marker or "o", markersize=5, markerfacecolor="white", linestyle="", zorder=3)


def explain(axes: Panel) -> None:
    """Mark what a panel cannot draw, and write into one in which nothing is drawn why that is so; once."""
    lines = [line for line in axes.get_lines() if len(np.atleast_1d(line.get_xdata()))]
    across = [
        line for line in lines if not all(line.get_transform().contains_branch_seperately(axes.transData))
    ]  # of axhline and axvline
    found = [_points(axes, line) for line in lines if line not in across]
    gaps = [points for points in found if points.missing.any() or points.off.any()]
    if gaps:
        _mark(axes, gaps)
    if not any(points.drawn.any() for points in found) and not _has_more(axes):
        lost = any(not np.isfinite(np.asarray(line.get_ydata(), dtype=float)).all() for line in across)
        words = OFF_AXIS if any(p.off.any() for p in gaps) else NO_VALUE if gaps or lost else NOTHING
        axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", va="center", color="0.4")
