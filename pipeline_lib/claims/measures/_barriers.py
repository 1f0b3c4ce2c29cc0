"""Barriers on the lines between two networks of a ladder, by seed; test split, in percentage points."""

from __future__ import annotations

from typing import Any

from pipeline_lib.claims import evidence
from pipeline_lib.claims.evidence import Evidence, Missing
from pipeline_lib.claims.measures import _matching, _paired

Pairs = dict[tuple[int, int], dict[int, float]]


def pairs(ev: Evidence, start: str, column: str) -> Pairs:
    """Find a column for each two levels from a start; solutions with a moved start's are pairs of one level.

    The column may be `midpoint`: how far the error in the middle lies above the mean of the ends (ambiguity C-X3).
    """
    own = ev.rows("barriers", start=start, split="test")
    own = own[own["what"] != "projection"]
    if column == "midpoint":
        own = own.assign(midpoint=own["midpoint_error"] - own["mean_end_error"])
    found: Pairs = {}
    for first, rows in own.groupby("level_1"):
        found |= {(int(str(first)), second): row for second, row in evidence.by(rows, "level_2", column, 100).items()}
    return found


def along(ev: Evidence, start: str, place: str) -> dict[int, dict[int, float]]:
    """Find each level's barrier to the next one's solution, or to that of its own moved start."""
    column = "midpoint" if place == "midpoint" else "barrier"
    return {i: row for (i, j), row in pairs(ev, start, column).items() if j - i <= 1}


def of_levels(ev: Evidence, start: str, place: str, from_level: int, to_level: int) -> dict[int, dict[int, float]]:
    """Keep all levels from one to another, and the seeds that all have."""
    found = along(ev, start, place)
    asked = evidence.whole(list(found), from_level, to_level)
    return dict(zip(asked, ev.complete(found[level] for level in asked), strict=True))


def both_match(ev: Evidence, start: str) -> dict[int, bool]:
    """Tell of each level but the last whether it and the next one match by their means, on the plain ladder of a start."""
    matches = _matching.levels(ev, f"k{_paired.rewind_step(ev, start)}")
    return {i: matches[i] and matches[i + 1] for i in range(len(matches) - 1)}


def steps(ev: Evidence, through: int) -> list[int]:
    """List the rewind steps whose solutions were compared, from 0 to `through`, of which both must be there."""
    found: list[Any] = sorted(k for k in ev.rows("barriers", what="levels")["k"].unique().tolist() if k <= through)
    if not {0, through} <= set(found):
        raise Missing(f"barriers from k 0 to {through}")
    return found
