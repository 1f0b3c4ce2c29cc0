"""Which levels of a ladder match the dense network: within one standard deviation of it, or 0.2 points if that is more.

Whether one does is open while the interval of the mean, seed by seed against the dense network, holds that limit.

Source: paper C, definition 2.2; ambiguity G-11.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Literal

from pipeline_lib.claims import evidence
from pipeline_lib.claims.estimates import Interval, possible
from pipeline_lib.claims.evidence import Evidence
from pipeline_lib.claims.measures import _paired

Unit = Literal["points", "tolerances"]


def margins(ev: Evidence, start: str) -> _paired.ByLevel:
    """Subtract the accuracy that matches from IMP's at each level from a start; level 0 is the plain start's.

    Raises:
        Missing: the ladder is not whole, or a level lacks seeds.
    """
    plain = _paired.plain(ev, start)
    rows = {level: row for level, row in plain.items() if level == 0} | _paired.accuracies(ev, "imp", start)
    evidence.whole(list(rows), 0, max(*rows, 1))
    every = ev.complete(evidence.matching_margins(ev, rows[level]) for level in sorted(rows))
    return dict(zip(sorted(rows), every, strict=True))


def decisions(ev: Evidence, found: Mapping[int, Mapping[int, float]]) -> tuple[list[bool | None], list[bool]]:
    """Tell of each level from 0 whether it matches, for sure and by the mean."""
    sure = [ev.decide(row, 0.0, len(found)) for row in found.values()]
    return sure, [statistics.fmean(row.values()) >= 0 for row in found.values()]


def levels(ev: Evidence, start: str) -> list[bool]:
    """Tell of each level from 0 whether it matches by its mean."""
    return decisions(ev, margins(ev, start))[1]


def depth(matches: list[bool]) -> int:
    """Give the last level down to which all sparse levels match; 0 if the first one does not."""
    return next((level for level in range(1, len(matches)) if not matches[level]), len(matches)) - 1


def depths(ev: Evidence, found: Mapping[int, Mapping[int, float]]) -> Interval:
    """Give the last level down to which all match, with what it can be."""
    return possible(lambda good: float(depth(good)), *decisions(ev, found))


def in_unit(ev: Evidence, values: Mapping[int, float], unit: str) -> dict[int, float]:
    """Leave differences of errors in points, or divide them by the tolerance."""
    size = 1.0 if unit == "points" else ev.tolerance
    return {seed: value / size for seed, value in values.items()}


def raised(ev: Evidence, errors: Mapping[int, float]) -> dict[int, float]:
    """Subtract the dense network's error from errors in percent, seed by seed, in tolerances: what matches is at most 1."""
    dense = ev.dense
    return in_unit(ev, {s: error - 100 + dense.get(s, float("nan")) for s, error in errors.items()}, "tolerances")
