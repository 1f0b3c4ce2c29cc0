"""Ladders that choose by how much to prune at each level, beside the plain ladder. Source: paper C, appendix F."""

from __future__ import annotations

import math
from typing import Literal

from pipeline_lib.claims import evidence
from pipeline_lib.claims.evidence import Found, Frames, Measured, spearman
from pipeline_lib.claims.measures import _paired

_SLACK = 1.05  # by which a density may exceed the one that it is to reach, since ratios are tenths


def _reached(frames: Frames, task: str, start: str, level: int) -> dict[int, float]:
    """Find by seed the first level of a start's ladder that is as sparse as a level of the plain one; infinite if none is."""
    plain = evidence.ladder(frames, task, "imp")
    if plain is None or "changed_runs" not in frames:
        return {}
    rows = frames["changed_runs"]
    own = rows[(rows["task"] == task) & (rows["start"] == start)]
    aim = plain[plain["k"].isin(own["k"]) & (plain["level"] == level)]["density"].mean()
    first = own[own["density"] <= _SLACK * aim].groupby("seed")["level"].min()
    seeds = sorted(own["seed"].unique().tolist()) if math.isfinite(aim) else []
    return {seed: float(first.get(seed, evidence.NOWHERE)) for seed in seeds}


def _average(values: dict[int, float], least: int) -> Found:
    return _paired.over_seeds(values) if len(values) >= least else None


def levels_needed(frames: Frames, task: str, sparse_level: int, start: str, level: int, least: int = 3) -> Found:
    """Count the levels after which a start's ladder is as sparse as the plain one at a level, averaged over seeds.

    It is infinite if one seed's never is.
    """
    found = _reached(frames, task, start, level)
    return Measured(evidence.NOWHERE, None, len(found)) if evidence.NOWHERE in found.values() else _average(found, least)


def training_saved(frames: Frames, task: str, sparse_level: int, start: str, level: int, least: int = 3) -> Found:
    """Give the share, in percent, of the training runs of the plain ladder, the dense one included, that a start's saves."""
    needed = levels_needed(frames, task, sparse_level, start, level, least)
    if needed is None:
        return None
    per_level = 100 / (level + 1)
    return Measured(per_level * (level - needed.value), None if needed.spread is None else per_level * needed.spread, needed.num)


def density_margin(frames: Frames, task: str, sparse_level: int, start: str, level: int, least: int = 3) -> Found:
    """Subtract the plain ladder's accuracy at a level from that of a start's where it is as sparse, seed by seed."""
    reached, own = _reached(frames, task, start, level), _paired.accuracies(frames, task, "imp", start)
    plain = _paired.plain(frames, task, start).get(level, {})
    if not set(reached.values()) <= set(own):
        return None
    found = {seed: own[int(first)][seed] - plain[seed] for seed, first in reached.items() if seed in plain}
    return None if any(map(math.isnan, found.values())) else _average(found, least)


def _chosen(frames: Frames, task: str, start: str, least: int) -> evidence.Points:
    """Average the chosen ratio, in percent, at each level of a start's ladder that enough seeds have."""
    frame = frames.get("ratios")
    if frame is None:
        return {}
    own = frame[(frame["task"] == task) & (frame["start"] == start) & frame["chosen"].astype(bool)]
    points = evidence.by_step(own.assign(percent=100 * own["fraction"]), "percent", least, "level")
    return {level: point for level, point in points.items() if point is not None}


def chosen_ratio(frames: Frames, task: str, sparse_level: int, start: str, at: Literal["first", "last"], least: int = 3) -> Found:
    """Give the mean ratio, in percent, that a start's ladder prunes by at its first or last level."""
    points = _chosen(frames, task, start, least)
    return points[(min if at == "first" else max)(points)] if points else None


def chosen_ratio_trend(frames: Frames, task: str, sparse_level: int, start: str, least: int = 3) -> Found:
    """Give Spearman's correlation of the level with the mean ratio that a start's ladder prunes by; 0 if all are the same."""
    points = _chosen(frames, task, start, least)
    values = [point.value for point in points.values()]
    if len(set(values)) == 1 and len(values) > 2:
        return Measured(0.0, None, evidence.fewest(points))
    return spearman(list(points), values, evidence.fewest(points)) if points else None
