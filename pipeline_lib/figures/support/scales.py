"""Axes that several figures share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
