"""Which of a ladder's solutions are linearly connected, and whether these are the ones that match.

Connected are networks whose barrier is at most the tolerance of matching. Source: paper C, definitions 2.1 and 2.2, section 3.1.
"""

from __future__ import annotations

import itertools
import statistics
from typing import Literal

from pipeline_lib.claims import estimates, evidence
from pipeline_lib.claims.estimates import Interval, possible
from pipeline_lib.claims.evidence import NOWHERE, Evidence, Missing
from pipeline_lib.claims.measures import _barriers, _matching
from pipeline_lib.claims.rules import Measured


def _between(found: _barriers.Pairs, from_level: int, to_level: int) -> dict[int, float]:
    if (from_level, to_level) not in found:
        raise Missing(f"the line between levels {from_level} and {to_level}")
    return found[from_level, to_level]


def pair_barrier(
    ev: Evidence, start: str, from_level: int, to_level: int, unit: Literal["points", "tolerances"] = "points"
) -> Measured:  # fmt: skip
    """Give the mean barrier between the solutions of two levels."""
    return ev.mean(_matching.in_unit(ev, _between(_barriers.pairs(ev, start, "barrier"), from_level, to_level), unit))


def pair_barrier_trend(ev: Evidence, from_level: int, to_level: int, through: int) -> Measured:
    """Give the change of the barrier between two levels' solutions from the first rewind step to the last, in points."""
    return ev.trend(
        {k: _between(_barriers.pairs(ev, f"k{k}", "barrier"), from_level, to_level) for k in _barriers.steps(ev, through)}
    )


def _matching_pairs(
    ev: Evidence, start: str, column: str, from_level: int, to_level: int
) -> dict[tuple[int, int], dict[int, float]]:
    """Find a column for every two matching levels, and the seeds that all have."""
    matches = _matching.levels(ev, start)
    evidence.whole(range(len(matches)), from_level, to_level)
    asked = list(itertools.combinations([level for level in range(from_level, to_level + 1) if matches[level]], 2))
    if not asked:
        raise Missing("two levels that match")
    found = _barriers.pairs(ev, start, column)
    return dict(zip(asked, ev.complete(_between(found, *pair) for pair in asked), strict=True))


def highest_path_error(ev: Evidence, start: str, from_level: int, to_level: int) -> Measured:
    """Give the highest error between any two matching levels, less the dense network's, in tolerances.

    It is the largest mean over seeds of the highest error on a line, as figure 2's heat map has it.
    """
    found = _matching_pairs(ev, start, "max_error", from_level, to_level)
    return ev.extreme([_matching.raised(ev, row) for row in found.values()], "highest")


def gap_trend(ev: Evidence, start: str, from_level: int, to_level: int) -> Measured:
    """Give the change of the barrier between matching solutions from those that are next to those that are furthest apart."""
    found = _matching_pairs(ev, start, "barrier", from_level, to_level)
    gaps = sorted({j - i for i, j in found})
    rows = {gap: [row for (i, j), row in found.items() if j - i == gap] for gap in gaps}
    if len(gaps) < 2:
        raise Missing("three levels that match")
    return ev.trend({gap: estimates.means_of(each) for gap, each in rows.items()})


def path_error(ev: Evidence, start: str, from_level: int, to_level: int) -> Measured:
    """Give the highest mean error on the lines between successive matching levels, less the dense network's, in tolerances."""
    both = _barriers.both_match(ev, start)
    asked = [level for level in evidence.whole(list(both), from_level, to_level) if both[level]]
    own, parts = ev.rows("paths", what="levels", start=start, split="test"), []
    for level in asked:
        line = own[(own["level_1"] == level) & (own["level_2"] == level + 1)]
        if not len(line):
            raise Missing(f"the line between levels {level} and {level + 1}")
        parts += list(evidence.by(line, "alpha", "error", 100).values())
    if not parts:
        raise Missing("two successive levels that match")
    return ev.extreme([_matching.raised(ev, part) for part in parts], "highest")


# Of a level, from a rewind step: whether it and the next match, whether they are connected, each for sure and by the mean, and
# how many levels it is from the last that all match down to.
Pair = tuple[bool | None, bool | None, bool, bool, int]


def _verdicts(ev: Evidence, from_level: int, to_level: int, through: int) -> list[Pair]:
    size, found = ev.tolerance, list[Pair]()
    steps = _barriers.steps(ev, through)
    of = len(steps) * (to_level - from_level + 1)
    for k in steps:
        margins = _matching.margins(ev, f"k{k}")
        sure, guess = _matching.decisions(ev, margins)
        for level, row in _barriers.of_levels(ev, f"k{k}", "line", from_level, to_level).items():
            both = [sure[level], evidence.at(dict(enumerate(sure)), level + 1, "level")]
            match = False if False in both else None if None in both else True
            apart = ev.decide({seed: barrier - size for seed, barrier in row.items()}, 0.0, of)
            connected = None if apart is None else not apart
            here = statistics.fmean(row.values()) <= size
            found.append((match, connected, guess[level] and guess[level + 1], here, abs(level - _matching.depth(guess))))
    return found


def agreement(ev: Evidence, from_level: int, to_level: int, through: int) -> Measured:
    """Give the share, in percent, of levels that are connected to the next one if and only if both match.

    All rewind steps from 0 to `through` count. There must be levels of which neither is open that do and that do not match.
    """
    found = _verdicts(ev, from_level, to_level, through)
    wrong = sum(None not in (match, connected) and match != connected for match, connected, *_ in found)
    right = sum(None not in (match, connected) and match == connected for match, connected, *_ in found)
    if len({match for match, *_ in found} - {None}) < 2:
        right = 0  # what agrees with a constant says nothing
    value, num = sum(match == connected for _, _, match, connected, _ in found), len(found)
    ends = Interval(100 * value / num, 100 * min(right, value) / num, 100 * max(num - wrong, value) / num)
    return Measured(ends.value, ends.low, ends.high, num, num)


def stray_levels(ev: Evidence, from_level: int, to_level: int, through: int) -> Measured:
    """Count the levels of `agreement` that are exceptions and lie more than one level from where matching ends."""
    found = _verdicts(ev, from_level, to_level, through)
    far = [each for each in found if each[-1] > 1]
    if not far:
        raise Missing("levels more than one from where matching ends")
    value = sum(match != connected for _, _, match, connected, _ in far)
    low = sum(None not in (match, connected) and match != connected for match, connected, *_ in far)
    high = sum(None in (match, connected) or match != connected for match, connected, *_ in far)
    return Measured(float(value), float(min(low, value)), float(max(high, value)), len(found), len(found))


def break_places(ev: Evidence, start: str, from_level: int = 1) -> Measured:
    """Count the levels from the first that is not connected to the one before to the first that does not match.

    It is infinite if only one of them is there.
    """
    size, margins = ev.tolerance, _matching.margins(ev, start)
    sure, guess = _matching.decisions(ev, margins)
    last = len(margins) - 1
    barriers = _barriers.of_levels(ev, start, "line", from_level, last - 1)
    rises = [{seed: barrier - size for seed, barrier in row.items()} for row in barriers.values()]
    apart = [ev.decide(row, 0.0, len(rises)) for row in rises]

    def first(from_: int, broken: list[bool]) -> float:
        return next((float(level) for level, breaks in enumerate(broken, from_) if breaks), NOWHERE)

    unmatched = [None if each is None else not each for each in sure[from_level:]]
    fails = possible(lambda broken: first(from_level, broken), unmatched, [not each for each in guess[from_level:]])
    guessed = [statistics.fmean(row.values()) > 0 for row in rises]
    parts = possible(lambda broken: first(from_level + 1, broken), apart, guessed)
    if fails.low == parts.low == NOWHERE:
        raise Missing("levels that do not match, or are not connected")
    return ev.having(estimates.difference(fails, parts), [*margins.values(), *barriers.values()])


def num_between(ev: Evidence) -> Measured:
    """Count the points between the ends of the line that has the fewest."""
    frame = ev.rows("paths")
    own = frame[(frame["alpha"] > 0) & (frame["alpha"] < 1)]
    points = own.groupby(["seed", "what", "start", "level_1", "level_2", "split"])["alpha"].nunique()
    return ev.counted(float(points.min()), len(points))
