"""Instability throughout training."""

from __future__ import annotations

from pipeline_lib.claims import estimates, evidence
from pipeline_lib.claims.estimates import means_of
from pipeline_lib.claims.evidence import Curve, Evidence, Missing
from pipeline_lib.claims.rules import Measured

_LEAST_STEPS = 10  # of a run that is followed throughout training


def _followed(ev: Evidence, column: str, k: int) -> Curve:
    """Find a column, in percent, at each step of the dense networks from step k, by seed."""
    rows = evidence.select(ev, "throughout", "dense", "test")
    found = evidence.by(rows[rows["k"] == k], "step", column, 100)
    if len(found) < _LEAST_STEPS:
        raise Missing(f"{_LEAST_STEPS} steps of training followed from k {k}")
    return found


def throughout_highest(ev: Evidence, k: int) -> Measured:
    """Give the largest mean test instability at any step of training of the dense networks from step k."""
    return ev.extreme(_followed(ev, "instability", k).values(), "highest")


def throughout_mirrors_error(ev: Evidence, k: int) -> Measured:
    """Correlate mean test instability with minus the mean test error over the steps of training."""
    both = [_followed(ev, column, k) for column in ("instability", "mean_end_error")]
    parts = ev.complete(row for each in both for row in each.values())
    accuracies = [{seed: -error for seed, error in row.items()} for row in parts[len(both[0]) :]]
    return ev.of(estimates.correlation(parts[: len(both[0])], accuracies), parts)


def throughout_trend(ev: Evidence, through: int) -> Measured:
    """Give the change from the first rewind step to the last of instability, averaged over the steps that all have in common."""
    rows = evidence.select(ev, "throughout", "dense", "test")
    steps = sorted(k for k in rows["k"].unique().tolist() if k <= through)
    if not {0, through} <= set(steps):
        raise Missing(f"training followed from k 0 to {through}")
    found = [_followed(ev, "instability", k) for k in steps]
    common = sorted(set.intersection(*map(set, found)))
    if len(common) < _LEAST_STEPS:
        raise Missing(f"{_LEAST_STEPS} common steps of training")
    return ev.trend({k: means_of(ev.complete(points[step] for step in common)) for k, points in zip(steps, found, strict=True)})
