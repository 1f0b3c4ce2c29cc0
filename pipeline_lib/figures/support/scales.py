"""Axes that several figures share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from pipeline_lib.figures.support.panel import Panel

_DIGIT = 0.02  # width of a character on a panel's axis, as a share of it
_LINEAR_TO = 0.01  # eigenvalues up to this size are on a linear axis


def apart(places: Sequence[float], labels: Sequence[str], turned: bool = False) -> list[int]:
    """Choose ticks whose labels do not overlap: the first, the last, and of those between what fits.

    Args:
        places: of ticks along the axis, ascending, from 0 to 1.
        labels: their texts.
        turned: whether texts are turned, so that each takes one line's height.
    """

    def room(i: int, j: int) -> bool:
        width = 3.0 if turned else (len(labels[i]) + len(labels[j])) / 2 + 1.2
        return abs(places[j] - places[i]) >= _DIGIT * width

    last = len(places) - 1
    chosen = [0] if places else []
    for i in range(1, last + 1):
        if room(chosen[-1], i) and (i == last or room(i, last)):
            chosen.append(i)
    return chosen


def from_zero(axes: Panel) -> None:
    """Let the axis begin a little below zero, and draw where zero is, so that lines at zero are seen."""
    axes.axhline(0, color="0.85", linewidth=0.8, zorder=0)


def density_axis(axes: Panel, densities: Iterable[float]) -> None:
    """Put the densities in percent on a falling log axis, with ticks at the measured ones."""
    percents = sorted({round(100 * density, 6) for density in densities if density > 0}, reverse=True)
    axes.set_xlabel("weights remaining (%)")
    if not percents:
        return
    axes.set_xscale("log", nonpositive="mask")
    named = {f"{value:.3g}": value for value in percents}
    names, spread = list(named), np.log(max(percents) / min(percents)) or 1.0
    shown = [names[i] for i in apart([float(np.log(max(percents) / named[n]) / spread) for n in names], names, turned=True)]
    axes.set_xticks([named[name] for name in shown], shown, rotation=45)
    axes.set_xticks([], minor=True)
    axes.set_xlim(max(percents) * 1.08, min(percents) / 1.08)


def step_axis(axes: Panel, last: float) -> None:
    """Stretch the earliest steps: the axis is linear up to step 10, and has one length a decade after it."""
    axes.set_xscale("symlog", linthresh=10, subs=range(2, 10))
    shown = [0, *(10**i for i in range(1, 9) if 10**i <= max(last, 10))]
    axes.set_xticks(shown, [f"{step:,}" for step in shown])
    axes.set_xlim(-0.4, 1.1 * last if last else 1)
    axes.set_xlabel("step")


def eigenvalue_axis(axes: Panel, values: pd.Series) -> None:
    """Make the axis linear near 0 and logarithmic beyond, on both sides."""
    axes.set_xscale("symlog", linthresh=_LINEAR_TO)
    lowest, highest = min(values.min(), 0), max(values.max(), _LINEAR_TO)
    decades = [-(10.0**i) for i in range(6, -3, -2)] + [0] + [10.0**i for i in range(-2, 9, 2)]
    shown = [tick for tick in decades if lowest <= tick <= highest]
    axes.set_xticks(shown, [f"{tick:g}".replace("-", "−") for tick in shown])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("eigenvalue")


def level_axis(axes: Panel) -> None:
    """Put ticks at whole levels."""
    axes.locator_params(axis="x", integer=True)
    axes.set_xlabel("level")


def rewind_axis(axes: Panel, steps: Iterable[int]) -> None:
    """Put rewind steps where they are: linear up to the first one above 0, logarithmic after it; ticks at the measured ones."""
    found = sorted(set(steps))
    axes.set_xlabel("rewind step k")
    above = [k for k in found if k > 0]
    if len(above) > 1:
        axes.set_xscale("symlog", linthresh=above[0], linscale=0.9)  # the linear part is as long as a decade
    first = above[0] if above else 1
    along = [k / first if k <= first or len(above) < 2 else 1 + float(np.log10(k / first)) for k in found]
    span = (along[-1] - along[0] or 1.0) if along else 1.0
    labels = [f"{k:,}" for k in found]
    shown = apart([(place - along[0]) / span for place in along], labels)
    axes.set_xticks([found[i] for i in shown], [labels[i] for i in shown])
    axes.set_xticks([found[i] for i in range(len(found)) if i not in shown], minor=True)
    axes.tick_params(axis="x", which="minor", labelbottom=False)
