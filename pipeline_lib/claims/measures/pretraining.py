"""What pretraining on altered data brings, by how many epochs it lasts: starts `k0 | pretext for 40ep`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pipeline_lib.claims import evidence
from pipeline_lib.claims.estimates import Interval, minus, possible
from pipeline_lib.claims.evidence import Evidence
from pipeline_lib.claims.measures import _paired
from pipeline_lib.claims.rules import Measured


def _ladders(ev: Evidence, pretext: str, durations: Sequence[int | float]) -> list[_paired.ByLevel]:
    return [_paired.accuracies(ev, "imp", f"k0 | {pretext} for {epochs:g}ep") for epochs in durations]


def duration_margin(
    ev: Evidence, pretext: str, against: str, from_level: int, to_level: int, take: Literal["lowest", "highest"],
    durations: Sequence[int | float] = (2, 5, 10, 20, 40),
) -> Measured:  # fmt: skip
    """Subtract another start's accuracy, averaged over levels, at the duration where that is lowest or highest."""
    second = _paired.accuracies(ev, "imp", against)
    found = [_paired.paired(ev, first, second, from_level, to_level) for first in _ladders(ev, pretext, durations)]
    return ev.extreme(map(_paired.over_levels, found), take)


def duration_trend(
    ev: Evidence, pretext: str, from_level: int, to_level: int, durations: Sequence[int | float] = (2, 5, 10, 20, 40)
) -> Measured:  # fmt: skip
    """Give the change of accuracy, averaged over levels, from the shortest to the longest duration."""
    found = _paired.common(ev, _ladders(ev, pretext, durations), from_level, to_level)
    return ev.trend({float(epochs): _paired.over_levels(part) for epochs, part in zip(durations, found, strict=True)})


def sufficient_duration(
    ev: Evidence, pretext: str, k: int, from_level: int, to_level: int, durations: Sequence[int | float] = (2, 5, 10, 20, 40)
) -> Measured:
    """Find the shortest pretraining, in epochs, after which networks are as accurate as from step k, less 0.2 points."""
    ladders = [_paired.accuracies(ev, "imp", f"k{k}"), *_ladders(ev, pretext, durations)]
    labels, *taught = map(_paired.over_levels, _paired.common(ev, ladders, from_level, to_level))
    found = [minus(each, labels) for each in taught]
    enough = [ev.decide(each, -evidence.MATCHING_WITHIN, len(found)) for each in found]
    guess = [sum(each.values()) / len(each) >= -evidence.MATCHING_WITHIN for each in found]

    def shortest(good: list[bool]) -> float:
        return next((float(epochs) for epochs, is_good in zip(durations, good, strict=True) if is_good), evidence.NOWHERE)

    ends: Interval = possible(shortest, enough, guess)
    return evidence.renamed(ev.having(ends, [labels]), durations)
