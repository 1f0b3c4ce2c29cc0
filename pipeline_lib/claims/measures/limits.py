"""How much of a solution can be pruned at once: what its curvature predicts, and what matches after retraining.

A solution without a matching sublevel set admits no pruning: its limit is 0. One that has not converged is not known.

Source: paper C, section 3.3 and figure 5.
"""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pipeline_lib.claims import estimates, evidence
from pipeline_lib.claims.estimates import Interval, possible
from pipeline_lib.claims.evidence import Evidence, Missing
from pipeline_lib.claims.measures import _paired
from pipeline_lib.claims.rules import Measured

if TYPE_CHECKING:
    import pandas as pd

Line = tuple[np.ndarray, np.ndarray]  # distances, ascending, and the limit at each
Lines = dict[int, dict[int, Line]]  # by level and seed
Scan = dict[int, dict[float, dict[int, float]]]  # accuracies, or their margins, by level, ratio and seed

_SHARES = (0.25, 0.5, 0.75)  # of the common range of distances, at which levels are compared


def _lines(ev: Evidence, k: int) -> Lines:
    """Find what curvature predicts of each level and seed, levels ascending: Gauss-Newton's, or the Hessian's if it is alone."""
    own = ev.rows("limits", k=k).sort_values("distance")
    operator = "gauss_newton" if "gauss_newton" in set(own["operator"]) else "hessian"
    own = own[own["operator"] == operator]
    found: Lines = {level: {} for level in sorted(own["level"].unique().tolist())}
    lines: dict[Any, pd.DataFrame] = dict(iter(own.groupby(["level", "seed"])))
    most = max(map(len, lines.values()))
    for (level, seed), line in lines.items():
        if len(line) >= evidence.COMPLETE * most:
            found[level][seed] = line["distance"].to_numpy(), line["clamped"].to_numpy(dtype=float)
    return found


def _limit(line: Line, at: float) -> float:
    """Give the limit at a distance; NaN where one next to it is not known."""
    return float(np.interp(at, *line))


def _tried(ev: Evidence, k: int, criterion: str) -> Scan:
    """Find the accuracies of networks from pruned solutions; magnitude pruning by the ladder's own ratio is its next level."""
    rows, found = ev.rows("changed_runs", k=k, further_criterion=criterion, num_changes=1), Scan()
    for start, own in rows.groupby("start"):
        for level, row in _paired.accuracies(ev, "imp", str(start)).items():
            found.setdefault(level, {})[float(own["further_fraction"].iloc[0])] = row
    if criterion == "magnitude":
        ladder, plain = evidence.ladder(ev, "imp"), _paired.accuracies(ev, "imp", f"k{k}")
        left = ladder[ladder["k"] == k].groupby("level")["density"].mean()
        for level in (level for level in found if level + 1 in plain):
            found[level].setdefault(round(1 - float(left[level + 1] / left[level]), 2), plain[level + 1])
    return found


def _scan(ev: Evidence, k: int, criterion: str) -> Scan:
    """Find by how much networks from pruned solutions are more accurate than matching ones must be; of seeds that have all."""
    found = _tried(ev, k, criterion)
    places = [(level, ratio) for level in sorted(found) for ratio in sorted(found[level])]
    margins = ev.complete(evidence.matching_margins(ev, found[level][ratio]) for level, ratio in places)
    whole: Scan = {}
    for (level, ratio), row in zip(places, margins, strict=True):
        whole.setdefault(level, {})[ratio] = row
    return whole


def _rows(scan: Scan) -> list[dict[int, float]]:
    return [row for ratios in scan.values() for row in ratios.values()]


def _points(ev: Evidence, k: int, criterion: str) -> list[tuple[bool | None, bool | None, bool, bool]]:
    """Tell of each network of the scan whether it matches and whether its ratio is below the limit, for sure and by the mean."""
    scan, lines, cuts = _scan(ev, k, criterion), _lines(ev, k), ev.rows("cuts", k=k, criterion=criterion, draw=0)
    found, of = [], len(_rows(scan))
    columns = (cuts[name].tolist() for name in ("level", "fraction", "seed", "distance"))
    distances = {(level, round(f, 6), seed): r for level, f, seed, r in zip(*columns, strict=True)}
    for level, ratios in scan.items():
        for ratio, margins in ratios.items():
            at = {s: distances[level, round(ratio, 6), s] for s in margins if (level, round(ratio, 6), s) in distances}
            room = {s: _limit(line, at.get(s, math.nan)) - ratio for s, line in lines.get(level, {}).items()}
            (room,) = ev.complete([room or dict.fromkeys(margins, math.nan)])
            guess = statistics.fmean(margins.values()) >= 0, statistics.fmean(room.values()) > 0
            found.append((ev.decide(margins, 0.0, of), ev.decide(room, 0.0, of), *guess))
    return found


def limit_by_level(ev: Evidence, k: int) -> Measured:
    """Give the change of the predicted limit at a distance from the first level to the last: the highest of three distances.

    These are evenly spaced in the range that all levels and seeds have in common.
    """
    lines = _lines(ev, k)
    distances = [x for by_seed in lines.values() for x, _ in by_seed.values()]
    low, high = max(float(x[0]) for x in distances), min(float(x[-1]) for x in distances)
    trends, parts = [], list[dict[int, float]]()
    for at in (low + share * (high - low) for share in _SHARES):
        series = {level: {s: _limit(line, at) for s, line in by_seed.items()} for level, by_seed in lines.items()}
        parts = ev.complete(series.values())
        trends.append(estimates.trend(dict(zip(map(float, series), parts, strict=True))))
    if len(lines) < evidence.LEAST_PLACES:
        raise Missing(f"{evidence.LEAST_PLACES} levels with a spectrum; has {len(lines)}")
    return ev.of(estimates.highest(trends), parts)


def limit_agreement(ev: Evidence, k: int, criterion: Literal["magnitude", "random"]) -> Measured:
    """Give the share, in percent, of pruned solutions that match if and only if their ratio is below the predicted limit.

    There must be some that match and some that do not.
    """
    points = _points(ev, k, criterion)
    num, value = len(points), sum(match == below for _, _, match, below in points)
    wrong = sum(None not in (match, below) and match != below for match, below, *_ in points)
    right = sum(None not in (match, below) and match == below for match, below, *_ in points)
    if len({match for match, *_ in points} - {None}) < 2:
        right = 0  # what agrees with a constant says nothing
    return Measured(100 * value / num, 100 * min(right, value) / num, 100 * max(num - wrong, value) / num, num, num)


def beyond_limit(ev: Evidence, k: int, criterion: Literal["magnitude", "random"]) -> Measured:
    """Count the pruned solutions that match although their ratio is not below the predicted limit."""
    points = _points(ev, k, criterion)
    value = sum(match and not below for _, _, match, below in points)
    low = sum(match is True and below is False for match, below, *_ in points)
    high = sum(match is not False and below is not True for match, below, *_ in points)
    return Measured(float(value), float(min(low, value)), float(max(high, value)), len(points), len(points))


def _largest(ev: Evidence, row: dict[float, dict[int, float]], of: int) -> Interval:
    """Give the largest ratio that matches, in percent; 0 where none does."""
    ratios = sorted(row)

    def largest(good: list[bool]) -> float:
        return 100 * max((ratio for ratio, matches in zip(ratios, good, strict=True) if matches), default=0.0)

    sure = [ev.decide(row[ratio], 0.0, of) for ratio in ratios]
    return possible(largest, sure, [statistics.fmean(row[ratio].values()) >= 0 for ratio in ratios])


def ratio_lead(ev: Evidence, k: int) -> Measured:
    """Subtract random pruning's largest matching ratio from magnitude pruning's, in percent, at the level where this is least."""
    first, second = (_scan(ev, k, criterion) for criterion in ("magnitude", "random"))
    if list(first) != list(second):
        raise Missing("the same levels pruned by magnitude and at random")
    of = len(_rows(first)) + len(_rows(second))
    leads = [estimates.difference(_largest(ev, first[each], of), _largest(ev, second[each], of)) for each in first]
    least = Interval(*(min(getattr(each, end) for each in leads) for end in ("value", "low", "high")))
    return ev.having(least, [*_rows(first), *_rows(second)])


def ratio_trend(ev: Evidence, k: int, criterion: Literal["magnitude", "random"]) -> Measured:
    """Give the change of the largest ratio that matches, in percent, from the first level to the last, seed by seed."""
    scan = _scan(ev, k, criterion)
    series = {
        level: {s: 100 * max((f for f, row in ratios.items() if row[s] >= 0), default=0.0) for s in next(iter(ratios.values()))}
        for level, ratios in scan.items()
    }
    return ev.trend(series)


def num_ratios(ev: Evidence, k: int, criterion: Literal["magnitude", "random"]) -> Measured:
    """Count the ratios by which the solutions of the level that has the fewest were pruned."""
    scan = _tried(ev, k, criterion)
    return ev.counted(float(min(map(len, scan.values()))), len(scan))
