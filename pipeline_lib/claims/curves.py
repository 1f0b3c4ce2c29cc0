"""What is measured at every rewind step: by step and seed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from pipeline_lib.claims.estimates import BySeed
from pipeline_lib.claims.evidence import Curve, Evidence, Missing, by, ladder, matching_margins, select


def _accuracy(ev: Evidence, kind: str, split: str) -> Curve:
    return {
        k: {s: 100 - e for s, e in row.items()} for k, row in by(select(ev, "runs", kind), "k", f"{split}_error", 100).items()
    }


def _matching_margin(ev: Evidence, kind: str, split: str) -> Curve:
    if kind != "dense" and ev.sparse_level < 1:
        raise Missing("a sparse level")
    own = ladder(ev, "imp" if kind == "dense" else kind)
    own = own[own["level"] == (0 if kind == "dense" else ev.sparse_level)]
    return {k: matching_margins(ev, row) for k, row in by(own, "k", "accuracy").items()}


def _instability(ev: Evidence, kind: str, split: str) -> Curve:
    return by(select(ev, "instability", kind, split), "k", "instability", 100)


def _distance(ev: Evidence, kind: str, split: str) -> Curve:
    return by(select(ev, "distances", kind), "k", "l2_params")


def path(ev: Evidence, kind: str, split: str, k: int) -> dict[float, dict[int, float]]:
    """Average the error over a seed's pairs at each point of the line."""
    rows = select(ev, "interpolation", kind, split)
    found = by(rows[rows["k"] == k], "alpha", "error", 100)
    if not found:
        raise Missing(f"lines at k {k}")
    return found


def _path_peak(ev: Evidence, kind: str, split: str) -> Curve:
    rows = select(ev, "interpolation", kind, split)
    lines = {k: path(ev, kind, split, k) for k in sorted(rows["k"].unique().tolist())}
    return {k: peaks(line) for k, line in lines.items()}


def peaks(line: Mapping[float, BySeed]) -> dict[int, float]:
    """Find each seed's highest error on a line; NaN where a point has none."""
    seeds = set().union(*line.values())
    rows = {seed: [row.get(seed, math.nan) for row in line.values()] for seed in sorted(seeds)}
    return {seed: math.nan if any(map(math.isnan, row)) else max(row) for seed, row in rows.items()}


# "matching_margin" is of the ladder's own order, "accuracy" of all; "distance" is L2 over all parameters; "path_peak" the maximum
# over the line of the mean error over a seed's pairs.
CURVES: dict[str, Callable[[Evidence, str, str], Curve]] = {
    "accuracy": _accuracy,
    "matching_margin": _matching_margin,
    "instability": _instability,
    "distance": _distance,
    "path_peak": _path_peak,
}


def curve(ev: Evidence, of: str, kind: str, split: str, through: int | None = None) -> Curve:
    """Measure one thing at every rewind step of the tables, by seed; only from 0 to `through`, of which both must be there.

    Raises:
        Missing: one of the two is not.
    """
    found = CURVES[of](ev, kind, split)
    if through is None:
        return found
    if not {0, through} <= set(found):
        raise Missing(f"{of} of {kind} networks from k 0 to {through}")
    return {k: row for k, row in found.items() if k <= through}
