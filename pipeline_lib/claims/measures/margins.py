"""What a start gains or loses in accuracy, in percentage points, compared with other starts seed by seed."""

from __future__ import annotations

from typing import Literal

from pipeline_lib.claims.evidence import Found, Frames, Measured
from pipeline_lib.claims.measures import _paired

_NONE = "none"


def _at(k: int, change: str) -> str:
    return f"k{k}" if change == _NONE else f"k{k} | {change}"


def margin(
    frames: Frames, task: str, sparse_level: int, start: str, against: str, from_level: int, to_level: int,
    take: Literal["mean", "lowest", "highest"] = "mean", in_errors: bool = False, kind: str = "imp", other: str = "imp",
    least: int = 3,
) -> Found:  # fmt: skip
    """Subtract the accuracy of the other kind from another start; with `take`, at the level where that is lowest or highest."""
    first, second = _paired.accuracies(frames, task, kind, start), _paired.accuracies(frames, task, other, against)
    found = _paired.paired(first, second, from_level, to_level, least)
    return None if found is None else _paired.taken(found, take, in_errors)


def margin_growth(
    frames: Frames, task: str, sparse_level: int, change: str, reference: str, k: int, later: int, from_level: int, to_level: int,
    in_errors: bool = False, least: int = 3,
) -> Found:  # fmt: skip
    """Subtract the margin of a change over another (or over none) at step k from that at a later rewind step."""
    texts = [_at(step, each) for step in (later, k) for each in (change, reference)]
    found = _paired.common([_paired.accuracies(frames, task, "imp", text) for text in texts], from_level, to_level, least)
    if found is None:
        return None
    late, early = _paired.minus(*found[:2]), _paired.minus(*found[2:])
    return _paired.taken(_paired.minus(late, early), "mean", in_errors)


def recovered(
    frames: Frames, task: str, sparse_level: int, change: str, reference: str, k: int, from_level: int, to_level: int,
    least: int = 3,
) -> Found:  # fmt: skip
    """Give the share of a reference change's damage to the ladder's networks that a milder change does not do."""
    texts = [_at(k, each) for each in (change, reference, _NONE)]
    found = _paired.common([_paired.accuracies(frames, task, "imp", text) for text in texts], from_level, to_level, least)
    if found is None:
        return None
    mild, harsh, whole = (_paired.over_levels(part) for part in found)
    damage = whole.value - harsh.value
    return Measured((mild.value - harsh.value) / damage, None, whole.num) if damage > 0 else None
