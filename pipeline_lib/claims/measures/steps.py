"""Means over seeds at rewind steps, and how they go with the step."""

from __future__ import annotations

import statistics

from pipeline_lib.claims import curves, estimates, evidence
from pipeline_lib.claims.curves import curve
from pipeline_lib.claims.estimates import means_of, minus
from pipeline_lib.claims.evidence import Evidence
from pipeline_lib.claims.rules import Measured


def dense_accuracy(ev: Evidence) -> Measured:
    """Average the test accuracy of the dense networks over seeds, from the first rewind step under the first order."""
    return ev.mean(ev.dense)


def at_step(ev: Evidence, of: str, kind: str, k: int, split: str = "test") -> Measured:
    """Give the mean over seeds at one rewind step."""
    return ev.mean(evidence.at(curve(ev, of, kind, split), k))


def lowest(ev: Evidence, of: str, kind: str, through: int, split: str = "test") -> Measured:
    """Give the smallest mean over the rewind steps."""
    return ev.extreme(curve(ev, of, kind, split, through).values(), "lowest")


def highest(ev: Evidence, of: str, kind: str, through: int, split: str = "test") -> Measured:
    """Give the largest mean over the rewind steps."""
    return ev.extreme(curve(ev, of, kind, split, through).values(), "highest")


def variation(ev: Evidence, of: str, kind: str, through: int, split: str = "test") -> Measured:
    """Give how far the mean of a rewind step is from that of all, at the step where this is most."""
    parts = ev.complete(curve(ev, of, kind, split, through).values())
    centre = means_of(parts)
    return ev.of(estimates.farthest([estimates.mean(minus(part, centre)) for part in parts]), parts)


def difference(ev: Evidence, of: str, kind: str, other: str, k: int, split: str = "test") -> Measured:
    """Subtract the other kind's value at step k, seed by seed."""
    first, second = ev.complete(evidence.at(curve(ev, of, each, split), k) for each in (kind, other))
    return ev.mean(minus(first, second))


def change(ev: Evidence, of: str, kind: str, k: int, split: str = "test") -> Measured:
    """Subtract the value at step 0 from the one at step k, seed by seed."""
    points = curve(ev, of, kind, split)
    late, first = ev.complete(evidence.at(points, step) for step in (k, 0))
    return ev.mean(minus(late, first))


def split_gap(ev: Evidence, of: str, kind: str, through: int) -> Measured:
    """Average train minus test over the rewind steps, seed by seed."""
    train, test = (curve(ev, of, kind, split, through) for split in ("train", "test"))
    parts = ev.complete([*train.values(), *test.values()])
    return ev.mean(minus(means_of(parts[: len(train)]), means_of(parts[len(train) :])))


def rank_trend(ev: Evidence, of: str, kind: str, through: int, split: str = "test") -> Measured:
    """Give the change from the first rewind step to the last, as a share of the mean over all."""
    return ev.trend(evidence.relative(ev, curve(ev, of, kind, split, through)))


def linear_fall(ev: Evidence, of: str, kind: str, through: int, split: str = "test") -> Measured:
    """Give Pearson's correlation with the rewind step or with its place on the grid, whichever is lower (B-X9)."""
    points = curve(ev, of, kind, split, through)
    parts = ev.complete(points.values())
    places = ([float(k) for k in points], list(map(float, range(len(points)))))
    both = [estimates.correlation([dict.fromkeys(parts[0], value) for value in x], parts) for x in places]
    return ev.of(min(both, key=lambda sample: sample(ev.level).value), parts)


def relation(ev: Evidence, of: str, to: str, kind: str, through: int, ranks: bool = False) -> Measured:
    """Give Pearson's (or Spearman's) correlation of two things over the rewind steps, on the test split."""
    first, second = (curve(ev, each, kind, "test", through) for each in (of, to))
    steps = sorted(set(first) | set(second))
    parts = ev.complete(evidence.at(found, k) for found in (first, second) for k in steps)
    return ev.of(estimates.correlation(parts[: len(steps)], parts[len(steps) :], ranks), parts)


def peak_place(ev: Evidence, kind: str, k: int, split: str = "test") -> Measured:
    """Average the positions on the line whose error is within a point of the highest, seed by seed."""
    points = curves.path(ev, kind, split, k)
    (peaks,) = ev.complete([curves.peaks(points)])
    places = {s: [a for a, row in points.items() if row[s] >= peak - 1] for s, peak in peaks.items()}
    return ev.mean({seed: statistics.fmean(own) for seed, own in places.items()})
