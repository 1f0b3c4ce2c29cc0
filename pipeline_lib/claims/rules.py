"""What a measured value may have to obey, and the verdict of its interval.

A rule is a range of values. It holds if the whole interval lies in it, fails if none of the interval does, and is undecided else:
so an equality holds if the value is within its margin for sure (two one-sided tests), and noise can only leave things open.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable
from dataclasses import dataclass

Number = int | float


@dataclass(frozen=True)
class Paper:
    """What the paper says: value and standard deviation, None where it gives none, and their unit."""

    value: Number | None
    spread: Number | None
    unit: str


@dataclass(frozen=True)
class Measured:
    """A measured value.

    Args:
        value: in the unit of its claim; infinity for an onset beyond the grid.
        low, high: ends of its interval at the claim's level.
        num: replicates that it is known of, out of `asked`; seeds, where it is a mean over them.
        asked: replicates that the experiment has.
        p: null probability of a rank trend or correlation.
        grid: rewind steps that an onset was looked for at.
    """

    value: float
    low: float
    high: float
    num: int
    asked: int
    p: float | None = None
    grid: tuple[float, ...] = ()


@dataclass(frozen=True)
class Range:
    """Values from low to high; without the ends if `is_open`."""

    low: Number
    high: Number
    is_open: bool = False

    def _beyond(self, value: Number) -> bool:
        return value < self.low or value > self.high or (self.is_open and value in (self.low, self.high))

    def holds(self, found: Measured) -> bool:
        """Tell whether the whole interval is inside."""
        return not self._beyond(found.low) and not self._beyond(found.high)

    def fails(self, found: Measured) -> bool:
        """Tell whether the whole interval is outside, on one side."""
        above = found.low >= self.high if self.is_open else found.low > self.high
        below = found.high <= self.low if self.is_open else found.high < self.low
        return above or below


def near(found: Measured, paper: Paper, margin: Number) -> Range:
    """Allow a margin, in the claim's unit, on either side of the paper's value."""
    value = paper.value or 0
    return Range(value - margin, value + margin)


def within_relative(found: Measured, paper: Paper, tolerance: Number) -> Range:
    """Allow a share of the paper's value on either side of it."""
    value = paper.value or 0
    return Range(value - tolerance * abs(value), value + tolerance * abs(value))


def equal(found: Measured, paper: Paper) -> Range:
    """Ask for the paper's value itself, of what is counted."""
    return Range(paper.value or 0, paper.value or 0)


def grid_neighbour(found: Measured, paper: Paper) -> Range:
    """Ask for the paper's place on the measured grid of rewind steps or one next to it; off the grid, for one around it."""
    value, grid = paper.value or 0, list(found.grid)
    first = max(bisect.bisect_left(grid, value) - 1, 0)
    last = min(bisect.bisect_right(grid, value), len(grid) - 1)
    return Range(grid[first], grid[last]) if grid else Range(value, value)


def below(found: Measured, paper: Paper, limit: Number) -> Range:
    """Ask for less than the limit."""
    return Range(-math.inf, limit, is_open=True)


def at_most(found: Measured, paper: Paper, limit: Number) -> Range:
    """Ask for no more than the limit."""
    return Range(-math.inf, limit)


def above(found: Measured, paper: Paper, limit: Number) -> Range:
    """Ask for more than the limit."""
    return Range(limit, math.inf, is_open=True)


def at_least(found: Measured, paper: Paper, limit: Number) -> Range:
    """Ask for no less than the limit."""
    return Range(limit, math.inf)


def between(found: Measured, paper: Paper, low: Number, high: Number) -> Range:
    """Ask for a value from low to high, both included."""
    return Range(low, high)


# The rules that a claim may name, and how they read.
RULES: dict[str, tuple[Callable[..., Range], str]] = {
    "near": (near, "within {margin:g} of the paper's value"),
    "equal": (equal, "equal to the paper's value"),
    "within_relative": (within_relative, "within {tolerance:.0%} of the paper's value"),
    "grid_neighbour": (grid_neighbour, "the paper's place on the grid of k or next to it"),
    "below": (below, "below {limit:g}"),
    "at_most": (at_most, "at most {limit:g}"),
    "above": (above, "above {limit:g}"),
    "at_least": (at_least, "at least {limit:g}"),
    "between": (between, "from {low:g} to {high:g}"),
}
VERDICTS = ("holds", "fails", "undecided", "not measured")
WITH_VALUE = ("near", "equal", "within_relative", "grid_neighbour")


def verdict(found: Measured, allowed: Range, level: float) -> str:
    """Say `holds`, `fails` or `undecided`.

    Args:
        found: the value with its interval at this level; one of ranks holds only if chance alone is unlikely to give it.
        allowed: what the claim's rule makes of it.
        level: confidence.
    """
    if math.isnan(found.value) or math.isnan(found.low) or math.isnan(found.high):
        return "undecided"
    if allowed.fails(found):
        return "fails"
    by_chance = found.p is not None and found.p > 1 - level
    return "holds" if allowed.holds(found) and not by_chance else "undecided"
