"""Ladders that choose by how much to prune at each level, beside the plain ladder. Source: paper C, appendix F."""

from __future__ import annotations

import math
from typing import Literal

from pipeline_lib.claims import evidence
from pipeline_lib.claims.estimates import Interval, minus
from pipeline_lib.claims.evidence import NOWHERE, Evidence, Missing
from pipeline_lib.claims.measures import _paired
from pipeline_lib.claims.rules import Measured

_SLACK = 1.05  # by which a density may exceed the one that it is to reach, since ratios are tenths


def _reached(ev: Evidence, start: str, level: int) -> dict[int, float]:
    """Find by seed the first level of a start's ladder that is as sparse as a level of the plain one; infinite if none is."""
    plain, own = evidence.ladder(ev, "imp"), ev.rows("changed_runs", start=start)
    aim = plain[plain["k"].isin(own["k"]) & (plain["level"] == level)]["density"].mean()
    if not math.isfinite(aim):
        raise Missing(f"level {level}")
    first = own[own["density"] <= _SLACK * aim].groupby("seed")["level"].min()
    return ev.complete([{seed: float(first.get(seed, NOWHERE)) for seed in sorted(own["seed"].unique().tolist())}])[0]


def levels_needed(ev: Evidence, start: str, level: int) -> Measured:
    """Count the levels after which a start's ladder is as sparse as the plain one at a level, averaged over seeds.

    It is infinite if one seed's never is.
    """
    found = _reached(ev, start, level)
    return ev.having(Interval(NOWHERE, NOWHERE, NOWHERE), [found]) if NOWHERE in found.values() else ev.mean(found)


def training_saved(ev: Evidence, start: str, level: int) -> Measured:
    """Give the share, in percent, of the training runs of the plain ladder, the dense one included, that a start's saves."""
    found = _reached(ev, start, level)
    if NOWHERE in found.values():
        return ev.having(Interval(-NOWHERE, -NOWHERE, -NOWHERE), [found])
    return ev.mean({seed: 100 * (level - needed) / (level + 1) for seed, needed in found.items()})


def density_margin(ev: Evidence, start: str, level: int) -> Measured:
    """Subtract the plain ladder's accuracy at a level from that of a start's where it is as sparse, seed by seed."""
    reached, own = _reached(ev, start, level), _paired.accuracies(ev, "imp", start)
    plain = evidence.at(_paired.plain(ev, start), level, "level")
    there = {seed: own.get(int(at), {}).get(seed, math.nan) if at < NOWHERE else math.nan for seed, at in reached.items()}
    return ev.mean(minus(*ev.complete([there, plain])))


def _chosen(ev: Evidence, start: str) -> dict[int, dict[int, float]]:
    """Find the chosen ratio, in percent, at each level of a start's ladder, of the seeds whose ladders are whole."""
    own = ev.rows("ratios", start=start)
    own = own[own["chosen"].astype(bool)]
    whole = own.groupby("seed")["level"].agg(["max", "nunique"])
    seeds = whole[whole["max"] == whole["nunique"]].index
    return evidence.by(own[own["seed"].isin(seeds)], "level", "fraction", 100)


def chosen_ratio(ev: Evidence, start: str, at: Literal["first", "last"]) -> Measured:
    """Give the mean ratio, in percent, that a start's ladder prunes by at its first level, or at each seed's last one."""
    points = _chosen(ev, start)
    if at == "first":
        return ev.mean(points.get(1, {}))
    return ev.mean({seed: points[level][seed] for level in sorted(points) for seed in points[level]})


def chosen_ratio_trend(ev: Evidence, start: str) -> Measured:
    """Give the change of the ratio, in percent, that a start's ladder prunes by, over the levels that all seeds have."""
    points = _chosen(ev, start)
    seeds = set().union(*points.values())
    kept = {level: row for level, row in points.items() if set(row) == seeds}
    return ev.trend(kept)
