"""Where networks become stable, and where they match: from which rewind step on all later ones do.

Whether they do at a step is open while the interval of the mean holds the limit; so a step is a range of steps of the grid.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping
from typing import Any, Literal

from pipeline_lib.claims import curves, estimates, evidence
from pipeline_lib.claims.estimates import BySeed, Interval
from pipeline_lib.claims.evidence import NOWHERE, STABLE_BELOW, Curve, Decisions, Evidence, Missing
from pipeline_lib.claims.rules import Measured
from pipeline_lib.tables import rules


def _decided(ev: Evidence, found: Curve, limit: float, reach: int) -> tuple[Decisions, dict[int, bool]]:
    """Tell of each step of the grid whether values are at least a limit, for sure and by the mean."""
    if 0 not in found or max(found) < reach:
        raise Missing(f"rewind steps from 0 to {reach}")
    diverged = {k: any(math.isinf(value) for value in row.values()) for k, row in found.items()}
    parts = dict(zip(found, ev.complete(found.values()), strict=True))
    sure = {k: True if diverged[k] else ev.decide(row, limit, len(found)) for k, row in parts.items()}
    return sure, {k: diverged[k] or statistics.fmean(row.values()) >= limit for k, row in parts.items()}


def _pairs(ev: Evidence, kind: str, split: str) -> Curve:
    """Find the instability at each rewind step as it counts for stability: infinite where a run diverged, or is near chance."""
    rows = evidence.select(ev, "instability", kind, split)
    return evidence.by(rows.assign(instability=rules.counted(rows)), "k", "instability", 100)


def _not(decisions: Mapping[int, bool | None]) -> Decisions:
    return {k: None if each is None else not each for k, each in decisions.items()}


def _onset(decisions: Decisions, guess: Mapping[int, bool], value: Callable[[float], float]) -> Interval:
    steps = sorted(decisions)

    def first(good: list[bool]) -> float:
        return value(evidence.steady_from(dict(zip(steps, good, strict=True))))

    return estimates.possible(first, [decisions[k] for k in steps], [guess[k] for k in steps])


def _place(steps: list[int]) -> Callable[[float], float]:
    return lambda k: float(steps.index(int(k))) if k < NOWHERE else NOWHERE


def _stable(ev: Evidence, kind: str, split: str, reach: int) -> tuple[Decisions, dict[int, bool], list[BySeed]]:
    found = _pairs(ev, kind, split)
    unstable, guess = _decided(ev, found, STABLE_BELOW, reach)
    return _not(unstable), {k: not each for k, each in guess.items()}, list(found.values())


def _matching(ev: Evidence, kind: str, reach: int) -> tuple[Decisions, dict[int, bool], list[BySeed]]:
    found = curves.curve(ev, "matching_margin", kind, "test")
    return *_decided(ev, found, 0.0, reach), list(found.values())


def stability_onset(ev: Evidence, kind: str, reach: int, split: str = "test") -> Measured:
    """Find the rewind step of the grid from which on instability is below two points (G-10)."""
    stable, guess, parts = _stable(ev, kind, split, reach)
    return evidence.renamed(ev.having(_onset(stable, guess, float), parts), sorted(stable))


def _apart(ev: Evidence, first: tuple[Decisions, dict[int, bool], list[BySeed]], second: Any) -> Measured:
    steps = sorted(first[0])
    if steps != sorted(second[0]):
        raise Missing("the same rewind steps of both")
    ends = [_onset(decisions, guess, _place(steps)) for decisions, guess, _ in (first, second)]
    if all(each.low == each.high == NOWHERE for each in ends):
        raise Missing("an onset within the rewind steps")
    return ev.having(estimates.difference(*ends), [*first[2], *second[2]])


def onset_difference(ev: Evidence, kind: str, other: str, reach: int) -> Measured:
    """Subtract the other kind's onset of stability, in places of the grid."""
    return _apart(ev, *(_stable(ev, each, "test", reach) for each in (kind, other)))


def split_onset_places(ev: Evidence, kind: str, reach: int) -> Measured:
    """Count the places of the grid by which the onset in train error lies after the one in test error."""
    return _apart(ev, *(_stable(ev, kind, split, reach) for split in ("train", "test")))


def matching_onset_places(ev: Evidence, kind: str, reach: int) -> Measured:
    """Count the places of the grid by which the step from which on networks match lies after the onset of stability."""
    return _apart(ev, _matching(ev, kind, reach), _stable(ev, kind, "test", reach))


def unstable_matches(ev: Evidence, kind: str, through: int) -> Measured:
    """Count the rewind steps from which networks match the dense one without being stable."""
    margin, pairs = curves.curve(ev, "matching_margin", kind, "test", through), _pairs(ev, kind, "test")
    pairs = {k: row for k, row in pairs.items() if k <= through}
    matching, matches = _decided(ev, margin, 0.0, through)
    unstable, breaks = _decided(ev, pairs, STABLE_BELOW, through)
    if sorted(margin) != sorted(pairs):
        raise Missing("the same rewind steps of both")
    both = [(matching[k], unstable[k]) for k in margin]
    low, high = sum(all(each) for each in both), sum(False not in each for each in both)
    value = sum(matches[k] and breaks[k] for k in margin)
    found = Interval(float(value), float(min(low, value)), float(max(high, value)))
    return ev.having(found, [*margin.values(), *pairs.values()])


def drop_at_onset(ev: Evidence, of: str, kind: str, through: int) -> Measured:
    """Divide the fall on the way to the onset of stability by the mean fall a place of the grid."""
    points, (_, guess, _) = curves.curve(ev, of, kind, "test", through), _stable(ev, kind, "test", through)
    steps, onset = sorted(points), evidence.steady_from(guess)
    if not 0 < onset <= through or int(onset) not in steps:
        raise Missing("an onset of stability after 0")
    if len(steps) < evidence.LEAST_PLACES:
        raise Missing(f"{evidence.LEAST_PLACES} rewind steps; has {len(steps)}")
    parts = dict(zip(points, ev.complete(points.values()), strict=True))
    place = steps.index(int(onset))
    there, mean = estimates.minus(parts[steps[place - 1]], parts[steps[place]]), estimates.minus(parts[0], parts[steps[-1]])
    return ev.ratio(there, {seed: fall / (len(steps) - 1) for seed, fall in mean.items()})


def ratio_while(
    ev: Evidence, of: str, kind: str, other: str, k: int, state: Literal["stable", "unstable"], split: str = "test"
) -> Measured:  # fmt: skip
    """Divide by the other kind's mean at step k, where the first kind is known to be stable, or unstable, there.

    Raises:
        Missing: it is not, or it is not known.
    """
    pairs = evidence.at(_pairs(ev, kind, split), k)
    unstable = any(math.isinf(value) for value in pairs.values()) or ev.decide(pairs, STABLE_BELOW)
    if unstable is not (state == "unstable"):
        raise Missing(f"{kind} networks that are {state} at k {k}")
    first, second = (evidence.at(curves.curve(ev, of, each, split), k) for each in (kind, other))
    return ev.ratio(first, second)
