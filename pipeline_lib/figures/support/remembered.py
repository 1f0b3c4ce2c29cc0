"""What a panel remembers until the figure is finished."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.lines import Line2D


@dataclass(frozen=True)
class Sample:
    """How many measurements are behind a mean.

    Args:
        unit: what is measured: pair, run, seed, or what else has no seeds.
        rows: the fewest and the most measurements at a place.
        seeds: of how many seeds these are, likewise.
        spread: whether a standard deviation is drawn.
    """

    unit: str
    rows: tuple[int, int]
    seeds: tuple[int, int]
    spread: bool = True


@dataclass(frozen=True)
class Spread:
    """One standard deviation around a line."""

    line: Line2D
    x: np.ndarray
    low: np.ndarray
    high: np.ndarray
