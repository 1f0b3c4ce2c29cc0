"""Test accuracies, in percent, of networks from any start by level and seed."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline_lib.claims import evidence
from pipeline_lib.claims.estimates import means_of, minus
from pipeline_lib.claims.evidence import Evidence, Missing
from pipeline_lib.claims.rules import Measured
from pipeline_lib.tables import tabulation

ByLevel = dict[int, dict[int, float]]


def accuracies(ev: Evidence, kind: str, start: str) -> ByLevel:
    """Find the accuracies of one kind from one start, plain or changed, under the ladder's own order.

    Raises:
        Missing: there are none.
    """
    for table in ("runs", "changed_runs"):
        if table not in ev.frames:
            continue
        frame = ev.frames[table]
        own = tabulation.of_kind(frame[frame["start"].to_numpy() == start], kind)
        if len(own):
            own = own[own["noise_order"] == own["noise_order"].min()]
            found = evidence.by(own, "level", "test_error", 100)
            return {level: {seed: 100 - error for seed, error in row.items()} for level, row in found.items()}
    raise Missing(f"{kind} runs from {start}")


def rewind_step(ev: Evidence, start: str) -> int:
    """Find the rewind step of a start in the tables.

    Raises:
        Missing: no table has it.
    """
    for frame in (ev.frames[table] for table in ("runs", "changed_runs", "barriers") if table in ev.frames):
        steps = frame["k"][frame["start"].to_numpy() == start]
        if len(steps):
            return int(steps.iloc[0])
    raise Missing(f"runs from {start}")


def plain(ev: Evidence, start: str, kind: str = "imp") -> ByLevel:
    """Find the accuracies of one kind from the W_k that a start begins with."""
    return accuracies(ev, kind, f"k{rewind_step(ev, start)}")


def common(ev: Evidence, parts: Iterable[ByLevel], from_level: int, to_level: int) -> list[ByLevel]:
    """Keep all levels from one to another, and the seeds that all parts have at all of them.

    Raises:
        Missing: a part lacks a level, or the seeds are too few.
    """
    whole = list(parts)
    levels = evidence.whole(sorted(set.intersection(*map(set, whole))), from_level, to_level)
    rows = iter(ev.complete(part[level] for part in whole for level in levels))
    return [{level: next(rows) for level in levels} for _ in whole]


def paired(ev: Evidence, first: ByLevel, second: ByLevel, from_level: int, to_level: int) -> ByLevel:
    """Subtract, seed by seed, on all levels from one to another."""
    one, two = common(ev, [first, second], from_level, to_level)
    return {level: minus(row, two[level]) for level, row in one.items()}


def over_levels(values: ByLevel) -> dict[int, float]:
    """Average levels, seed by seed."""
    return means_of(values.values())


def taken(ev: Evidence, values: ByLevel, take: str) -> Measured:
    """Average levels, or take the level with the lowest or highest mean over seeds."""
    return ev.mean(over_levels(values)) if take == "mean" else ev.extreme(values.values(), take)
