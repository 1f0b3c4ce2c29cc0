"""What a start gains or loses in accuracy, in percentage points, compared with other starts seed by seed."""

from __future__ import annotations

from typing import Literal

from pipeline_lib.claims.estimates import minus
from pipeline_lib.claims.evidence import Evidence
from pipeline_lib.claims.measures import _paired
from pipeline_lib.claims.rules import Measured

_NONE = "none"


def _at(k: int, change: str) -> str:
    return f"k{k}" if change == _NONE else f"k{k} | {change}"


def margin(
    ev: Evidence, start: str, against: str, from_level: int, to_level: int, take: Literal["mean", "lowest", "highest"] = "mean",
    kind: str = "imp", other: str = "imp",
) -> Measured:  # fmt: skip
    """Subtract the accuracy of the other kind from another start; with `take`, at the level where that is lowest or highest."""
    first, second = _paired.accuracies(ev, kind, start), _paired.accuracies(ev, other, against)
    return _paired.taken(ev, _paired.paired(ev, first, second, from_level, to_level), take)


def margin_growth(
    ev: Evidence, change: str, reference: str, k: int, later: int, from_level: int, to_level: int
) -> Measured:  # fmt: skip
    """Subtract the margin of a change over another (or over none) at step k from that at a later rewind step."""
    texts = [_at(step, each) for step in (later, k) for each in (change, reference)]
    parts = _paired.common(ev, [_paired.accuracies(ev, "imp", text) for text in texts], from_level, to_level)
    late, late_other, early, early_other = map(_paired.over_levels, parts)
    return ev.mean(minus(minus(late, late_other), minus(early, early_other)))


def recovered(ev: Evidence, change: str, reference: str, k: int, from_level: int, to_level: int) -> Measured:
    """Give the share of a reference change's damage to the ladder's networks that a milder change does not do."""
    texts = [_at(k, each) for each in (change, reference, _NONE)]
    parts = _paired.common(ev, [_paired.accuracies(ev, "imp", text) for text in texts], from_level, to_level)
    mild, harsh, plain = map(_paired.over_levels, parts)
    return ev.ratio(minus(mild, harsh), minus(plain, harsh))
