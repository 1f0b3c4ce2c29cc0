"""Barriers down a ladder: between the solutions of each level and the next, or of each level and of its moved start.

`start` is `k2000` for the former and `k2000 | pruning_sized` for the latter; levels are those of the first network. `place`
is where on the line the error is looked at: anywhere (paper C, definition 2.1), or in the middle (its figure 4).
"""

from __future__ import annotations

from typing import Literal

from pipeline_lib.claims import evidence
from pipeline_lib.claims.estimates import minus
from pipeline_lib.claims.evidence import Evidence, Missing
from pipeline_lib.claims.measures import _barriers, _matching
from pipeline_lib.claims.rules import Measured


def level_barrier(
    ev: Evidence, start: str, from_level: int, to_level: int, take: Literal["lowest", "highest"],
    place: Literal["line", "midpoint"] = "line", pairs: Literal["all", "matching", "others"] = "all",
    unit: Literal["points", "tolerances"] = "points",
) -> Measured:  # fmt: skip
    """Give the lowest or highest mean barrier: of all levels, of those that match as the next ones do, or of the others."""
    found = _barriers.of_levels(ev, start, place, from_level, to_level)
    if pairs != "all":
        both = _barriers.both_match(ev, start)
        found = {level: row for level, row in found.items() if both.get(level, False) == (pairs == "matching")}
    if not found:
        raise Missing(f"levels from {from_level} to {to_level} that {'match' if pairs == 'matching' else 'do not match'}")
    return ev.extreme([_matching.in_unit(ev, row, unit) for row in found.values()], take)


def level_barrier_trend(
    ev: Evidence, start: str, from_level: int, to_level: int, place: Literal["line", "midpoint"] = "line"
) -> Measured:  # fmt: skip
    """Give the change of the barrier from one level to another, in points."""
    return ev.trend(_barriers.of_levels(ev, start, place, from_level, to_level))


def level_barrier_lead(ev: Evidence, start: str, level: int, later: int) -> Measured:
    """Subtract the barrier of a later level, seed by seed, in points."""
    found = _barriers.along(ev, start, "line")
    return ev.mean(minus(*ev.complete(evidence.at(found, each, "level") for each in (level, later))))


def level_barrier_ratio(
    ev: Evidence, start: str, against: str, level: int, place: Literal["line", "midpoint"] = "line"
) -> Measured:  # fmt: skip
    """Divide by the mean barrier from another start."""
    return ev.ratio(*(evidence.at(_barriers.along(ev, each, place), level, "level") for each in (start, against)))
