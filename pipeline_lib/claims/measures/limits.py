"""How much of a solution can be pruned at once: what its curvature predicts, and what matches after retraining.

A solution without a matching sublevel set admits no pruning: its limit is 0. Source: paper C, section 3.3 and figure 5.
"""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Literal

import numpy as np

from pipeline_lib.claims import evidence
from pipeline_lib.claims.evidence import Found, Frames, Measured, spearman
from pipeline_lib.claims.measures import _paired

if TYPE_CHECKING:
    import pandas as pd

Line = tuple[np.ndarray, np.ndarray]  # distances, ascending, and the limit at each
Lines = dict[int, dict[int, Line]]  # by level and seed
Matches = dict[int, dict[float, bool]]  # by level and ratio

_NOTHING = (np.zeros(1), np.zeros(1))
_SHARES = (0.25, 0.5, 0.75)  # of the common range of distances, at which levels are compared


def _of(frames: Frames, table: str, task: str, k: int) -> pd.DataFrame | None:
    frame = frames.get(table)
    return None if frame is None else frame[(frame["task"] == task) & (frame["k"] == k)]


def _lines(frames: Frames, task: str, k: int) -> Lines:
    """Find what the Hessian predicts of each level and seed, levels ascending; empty where nothing is predicted."""
    rows, fits = (_of(frames, table, task, k) for table in ("limits", "fits"))
    if rows is None or fits is None:
        return {}
    found: Lines = {level: {} for level in sorted({*rows["level"].tolist(), *fits[fits["epsilon"].isna()]["level"].tolist()})}
    own = rows[rows["operator"] == "hessian"].sort_values("distance")
    for level, seed in own[["level", "seed"]].drop_duplicates().to_numpy().tolist():
        line = own[(own["level"] == level) & (own["seed"] == seed)]
        found[level][seed] = line["distance"].to_numpy(), line["clamped"].to_numpy()
    none = fits[fits["epsilon"].isna()]
    for level, seed in zip(none["level"].tolist(), none["seed"].tolist(), strict=True):
        found[level][seed] = _NOTHING
    return found if len(own) else {}


def _drawn(lines: Lines) -> list[Line]:
    return [line for by_seed in lines.values() for line in by_seed.values() if line is not _NOTHING]


def _scan(frames: Frames, task: str, k: int, criterion: str) -> dict[int, dict[float, _paired.BySeed]]:
    """Find the accuracies of networks from pruned solutions by level and ratio.

    Magnitude pruning by the ladder's own ratio is the ladder's next level.
    """
    rows, found = _of(frames, "changed_runs", task, k), dict[int, dict[float, _paired.BySeed]]()
    if rows is not None:
        rows = rows[(rows["further_criterion"] == criterion) & (rows["num_changes"] == 1)]
    for start, own in [] if rows is None else rows.groupby("start"):
        for level, row in _paired.accuracies(frames, task, "imp", str(start)).items():
            found.setdefault(level, {})[float(own["further_fraction"].iloc[0])] = row
    ladder, plain = evidence.ladder(frames, task, "imp"), _paired.accuracies(frames, task, "imp", f"k{k}")
    if criterion == "magnitude":
        if ladder is None:
            return {}
        left = ladder[ladder["k"] == k].groupby("level")["density"].mean()
        for level in (level for level in found if level + 1 in plain):
            found[level].setdefault(round(1 - float(left[level + 1] / left[level]), 2), plain[level + 1])
    return {level: dict(sorted(found[level].items())) for level in sorted(found)}


def _matches(frames: Frames, task: str, k: int, criterion: str, least: int) -> Matches | None:
    """Tell of each level and ratio whether its networks match; None where there are none, or one lacks a seed."""
    enough, scan = evidence.matching_accuracy(frames, task, least), _scan(frames, task, k, criterion)
    every = [values for row in scan.values() for values in row.values()]
    whole = all(len(values) >= least and not any(map(math.isnan, values.values())) for values in every)
    if enough is None or not every or not whole:
        return None
    return {level: {f: statistics.fmean(row[f].values()) >= enough for f in row} for level, row in scan.items()}


def _points(frames: Frames, task: str, k: int, criterion: str, least: int) -> list[tuple[bool, bool]] | None:
    """Tell of each network of the scan whether it matches, and whether its ratio is below the mean limit at its distance."""
    matches, lines, cuts = _matches(frames, task, k, criterion, least), _lines(frames, task, k), _of(frames, "cuts", task, k)
    if matches is None or cuts is None:
        return None
    own, found = cuts[cuts["criterion"] == criterion].dropna(subset=["distance"]), []
    for level, fraction in ((level, fraction) for level, row in matches.items() for fraction in row):
        there = own[(own["level"] == level) & np.isclose(own["fraction"], fraction)].set_index("seed")["distance"]
        seeds = sorted(set(there.index) & set(lines.get(level, {})))
        if len(seeds) < max(least, 1):
            return None
        limit = statistics.fmean(float(np.interp(there[seed], *lines[level][seed])) for seed in seeds)
        found.append((matches[level][fraction], fraction < limit))
    return found


def limit_trend(frames: Frames, task: str, sparse_level: int, k: int) -> Found:
    """Give Spearman's correlation of the distance with the predicted limit, at the level and seed where it is highest."""
    lines = _drawn(_lines(frames, task, k))
    trends = [spearman(x.tolist(), y.tolist(), len(lines)) for x, y in lines]
    known = [trend for trend in trends if trend is not None]
    return max(known, key=lambda trend: trend.value) if known and len(known) == len(trends) else None


def limit_by_level(frames: Frames, task: str, sparse_level: int, k: int, least: int = 3) -> Found:
    """Give Spearman's correlation of the level with the mean predicted limit at a fixed distance: the highest of three distances.

    These are evenly spaced in the range that all levels and seeds have in common.
    """
    lines = _lines(frames, task, k)
    if not lines or any(len(by_seed) < least for by_seed in lines.values()):
        return None
    low, high = max(float(x[0]) for x, _ in _drawn(lines)), min(float(x[-1]) for x, _ in _drawn(lines))
    trends = []
    for at in (low + share * (high - low) for share in _SHARES):
        means = [statistics.fmean(float(np.interp(at, *line)) for line in by_seed.values()) for by_seed in lines.values()]
        trends.append(spearman(list(lines), means, min(map(len, lines.values()))))
    known = [trend for trend in trends if trend is not None]
    return max(known, key=lambda trend: trend.value) if len(known) == len(trends) else None


def limit_agreement(
    frames: Frames, task: str, sparse_level: int, k: int, criterion: Literal["magnitude", "random"], least: int = 3
) -> Found:
    """Give the share, in percent, of pruned solutions that match if and only if their ratio is below the predicted limit."""
    points = _points(frames, task, k, criterion, least)
    if not points:
        return None
    return Measured(100 * sum(match == below for match, below in points) / len(points), None, len(points))


def beyond_limit(
    frames: Frames, task: str, sparse_level: int, k: int, criterion: Literal["magnitude", "random"], least: int = 3
) -> Found:
    """Count the pruned solutions that match although their ratio is not below the predicted limit."""
    points = _points(frames, task, k, criterion, least)
    return Measured(float(sum(match and not below for match, below in points)), None, len(points)) if points else None


def _largest(matches: Matches) -> dict[int, float]:
    """Give the largest ratio that matches, in percent, by level; 0 where none does."""
    return {level: 100 * max((f for f, match in row.items() if match), default=0.0) for level, row in matches.items()}


def ratio_lead(frames: Frames, task: str, sparse_level: int, k: int, least: int = 3) -> Found:
    """Subtract random pruning's largest matching ratio from magnitude pruning's, in percent, at the level where this is least."""
    first, second = (_matches(frames, task, k, criterion, least) for criterion in ("magnitude", "random"))
    if first is None or second is None or list(first) != list(second):
        return None
    ours, theirs = _largest(first), _largest(second)
    return Measured(min(ours[level] - theirs[level] for level in ours), None, len(ours))


def ratio_trend(
    frames: Frames, task: str, sparse_level: int, k: int, criterion: Literal["magnitude", "random"], least: int = 3
) -> Found:
    """Give Spearman's correlation of the level with the largest ratio that matches."""
    matches = _matches(frames, task, k, criterion, least)
    if matches is None:
        return None
    largest = _largest(matches)
    return spearman(list(largest), list(largest.values()), len(largest))


def num_ratios(frames: Frames, task: str, sparse_level: int, k: int, criterion: Literal["magnitude", "random"]) -> Found:
    """Count the ratios by which the solutions of the level that has the fewest were pruned."""
    scan = _scan(frames, task, k, criterion)
    return Measured(float(min(map(len, scan.values()))), None, len(scan)) if scan else None


def spectrum_size(
    frames: Frames, task: str, sparse_level: int, k: int, column: Literal["probes", "iterations", "examples"]
) -> Found:
    """Count random start vectors, iterations or training images of the solutions' spectra, of the one that has the fewest."""
    rows = _of(frames, "spectrum", task, k)
    if rows is None:
        return None
    own = rows[(rows["operator"] == "hessian") & (rows["vector"] == "rademacher")]
    one = own.groupby(["seed", "level", "step"])
    counts = {
        "probes": one["probe"].nunique(),
        "iterations": one["index"].max() + 1,
        "examples": one["num_examples"].min(),
    }
    return Measured(float(counts[column].min()), None, len(one)) if len(own) else None
