"""How far down a ladder networks match the dense network, from any start. Source: paper C, definition 2.2; ambiguity G-11."""

from __future__ import annotations

from typing import Literal

from pipeline_lib.claims import estimates, evidence
from pipeline_lib.claims.evidence import Evidence, Missing
from pipeline_lib.claims.measures import _matching, _paired
from pipeline_lib.claims.rules import Measured


def matching_depth(ev: Evidence, start: str) -> Measured:
    """Give the last level down to which all of a start's sparse networks match."""
    found = _matching.margins(ev, start)
    return ev.having(_matching.depths(ev, found), found.values())


def depth_lead(ev: Evidence, start: str, against: str) -> Measured:
    """Subtract the last level down to which another start's networks match, on ladders of one length."""
    first, second = (_matching.margins(ev, each) for each in (start, against))
    if len(first) != len(second):
        raise Missing("ladders of one length")
    found = estimates.difference(*(_matching.depths(ev, each) for each in (first, second)))
    return ev.having(found, [*first.values(), *second.values()])


def start_margin(
    ev: Evidence, start: str, from_level: int, to_level: int, take: Literal["lowest", "highest"]
) -> Measured:  # fmt: skip
    """Subtract the accuracy that matches from that of a start, at the level where that is lowest or highest."""
    own = _paired.accuracies(ev, "imp", start)
    if " prune(" in start:  # few levels are pruned further
        own = {level: row for level, row in own.items() if from_level <= level <= to_level}
        asked = sorted(own) if {from_level, to_level} <= set(own) else [from_level, to_level]
        found = dict(zip(asked, ev.complete(own.get(level, {}) for level in asked), strict=True))
    else:
        (found,) = _paired.common(ev, [own], from_level, to_level)
    return ev.extreme((evidence.matching_margins(ev, row) for row in found.values()), take)
