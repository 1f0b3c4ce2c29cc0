"""Accuracy down the ladders of pruning levels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pipeline_lib.claims import evidence
from pipeline_lib.claims.evidence import Found, Frames, Measured, fewest, spearman

_CONTROLS = ("random_prune", "reinit")


def smallest_matching_density(
    frames: Frames, task: str, sparse_level: int, through: int, beyond: int = 2, least: int = 3
) -> Found:
    """Give the lowest density, in percent, at which IMP from some rewind step matches, on ladders `beyond` levels too deep.

    Source: paper B, appendix A.
    """
    own, enough = evidence.ladder(frames, task, "imp"), evidence.matching_accuracy(frames, task, least)
    best = evidence.best_rungs(own, through, least)
    if own is None or enough is None or best is None or max(best) < sparse_level + beyond:
        return None
    deepest = max((level for level in best if best[level].value >= enough), default=0)
    return Measured(100 * float(own[own["level"] == deepest]["density"].mean()), None, fewest(best))


def levels_ahead(frames: Frames, task: str, sparse_level: int, k: int, ahead: int, least: int = 3) -> Found:
    """Count the levels from the controls' last matching one to IMP's, on ladders that go on for `ahead` levels at least."""
    enough = evidence.matching_accuracy(frames, task, least)
    found = [evidence.rungs(evidence.ladder(frames, task, kind), k, least) for kind in ("imp", *_CONTROLS)]
    ladders = [points for points in found if points is not None]
    if enough is None or len(ladders) < 3 or len({len(points) for points in ladders}) > 1:
        return None
    imp, *controls = [max((level for level in points if points[level].value >= enough), default=0) for points in ladders]
    return Measured(float(imp - max(controls)), None, fewest(*ladders)) if max(ladders[0]) >= max(controls) + ahead else None


def best_k_lead(frames: Frames, task: str, sparse_level: int, through: int, everywhere: bool = False, least: int = 3) -> Found:
    """Subtract the better control from step 0 from IMP's best over rewind steps: at the sparse level, or its least lead."""
    best = evidence.best_rungs(evidence.ladder(frames, task, "imp"), through, least)
    others = [evidence.rungs(evidence.ladder(frames, task, kind), 0, least) for kind in _CONTROLS]
    if best is None or any(points is None or list(points) != list(best) for points in others) or sparse_level not in best:
        return None
    controls = [points for points in others if points is not None]
    levels = list(best) if everywhere else [sparse_level]
    lead = min(best[level].value - max(points[level].value for points in controls) for level in levels)
    return Measured(lead, None, fewest(best, *controls))


def _grid(
    frames: Frames, task: str, from_k: int, to_k: int, from_level: int, to_level: int, least: int
) -> dict[int, evidence.Points] | None:
    """Average IMP's accuracy at every level, from every rewind step of the grid; None where the ends or a value are missing."""
    own, found = evidence.ladder(frames, task, "imp"), dict[int, evidence.Points]()
    steps = [] if own is None else sorted(k for k in own["k"].unique().tolist() if from_k <= k <= to_k)
    if own is None or not {from_k, to_k} <= set(steps):
        return None
    for k in steps:
        rows = own[(own["k"] == k) & own["level"].between(from_level, to_level)]
        points = evidence.by_step(rows, "accuracy", least, "level")
        found[k] = {level: point for level, point in points.items() if point is not None}
        if list(found[k]) != list(range(from_level, to_level + 1)):
            return None
    return found


def _extreme(points: Iterable[Measured], take: str) -> Measured:
    return (max if take == "highest" else min)(points, key=lambda point: point.value)


def grid_margin(
    frames: Frames,
    task: str,
    sparse_level: int,
    level: int,
    from_k: int,
    to_k: int,
    take: Literal["lowest", "highest"],
    least: int = 3,
) -> Found:
    """Subtract the accuracy that matches from IMP's lowest or highest at a level, over the rewind steps of the grid."""
    enough, found = evidence.matching_accuracy(frames, task, least), _grid(frames, task, from_k, to_k, level, level, least)
    if enough is None or found is None:
        return None
    point = _extreme((points[level] for points in found.values()), take)
    return Measured(point.value - enough, point.spread, point.num)


def grid_accuracy(
    frames: Frames, task: str, sparse_level: int, take: Literal["lowest", "highest"], to_level: int, through: int, least: int = 3
) -> Found:
    """Give the lowest or highest mean accuracy of the dense network and of IMP's at every level and rewind step."""
    dense, found = evidence.dense_accuracy(frames, task, least), _grid(frames, task, 0, through, 1, to_level, least)
    if dense is None or found is None:
        return None
    return _extreme([dense, *(point for points in found.values() for point in points.values())], take)


def rewind_trend(
    frames: Frames,
    task: str,
    sparse_level: int,
    from_level: int,
    to_level: int,
    through: int,
    take: Literal["lowest", "highest"],
    least: int = 3,
) -> Found:
    """Give Spearman's correlation of the rewind step with IMP's accuracy, at the level where it is lowest or highest."""
    found = _grid(frames, task, 0, through, from_level, to_level, least)
    if found is None:
        return None
    trends = [
        spearman(list(found), [points[level].value for points in found.values()], fewest(*found.values()))
        for level in range(from_level, to_level + 1)
    ]
    known = [trend for trend in trends if trend is not None]
    return _extreme(known, take) if len(known) == len(trends) else None


def late_gain_share(
    frames: Frames, task: str, sparse_level: int, k: int, later: int, from_level: int, to_level: int, least: int = 3
) -> Found:
    """Divide the gain from step k to a later one by that from 0 to k, at the level of the largest share.

    It is infinite where nothing was gained by step k.
    """
    found = _grid(frames, task, 0, later, from_level, to_level, least)
    if found is None or k not in found:
        return None
    shares = []
    for level in range(from_level, to_level + 1):
        first, middle, last = (found[step][level].value for step in (0, k, later))
        shares.append((last - middle) / (middle - first) if middle > first else evidence.NOWHERE)
    return Measured(max(shares), None, fewest(*found.values()))
