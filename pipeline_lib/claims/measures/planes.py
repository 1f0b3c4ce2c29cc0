"""The linearly connected sublevel set of a solution, in a plane through it. Means over the few seeds whose planes were drawn.

Where the border of the set is beyond the plane, its reach is not known and counts as infinite.

Source: paper C, definition 2.4, figures 3, 6, 13, 14, 16 and 17.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pipeline_lib.claims import evidence
from pipeline_lib.claims.evidence import Found, Frames, Measured, spearman
from pipeline_lib.claims.measures import _matching

if TYPE_CHECKING:
    import pandas as pd


def _sets(frames: Frames, task: str, plane: str, k: int, least: int) -> dict[int, pd.DataFrame]:
    """Find the rows of each level, one a seed; empty where one has too few."""
    frame = frames.get("sets")
    if frame is None:
        return {}
    own = frame[(frame["task"] == task) & (frame["plane"] == plane) & (frame["k"] == k)]
    found = {level: own[own["level"] == level] for level in sorted(own["level"].unique().tolist())}
    return found if all(len(rows) >= least for rows in found.values()) else {}


def _inside(rows: pd.DataFrame, point: str) -> float | None:
    """Give the share of seeds whose projection, or next solution, is in the set; None where that is not known."""
    values = rows[f"{point}_inside"]
    return None if values.isna().any() else float(values.astype(bool).mean())


def inside_share(
    frames: Frames, task: str, sparse_level: int, point: Literal["projection", "next"], k: int, from_level: int, to_level: int,
    least: int = 1,
) -> Found:  # fmt: skip
    """Give the share, in percent, of seeds and levels whose projection, or next solution, is in the set of the solution."""
    found = _sets(frames, task, "pruning", k, least)
    asked = [found[level] for level in _matching.between(found, from_level, to_level) or []]
    shares = [share for rows in asked if (share := _inside(rows, point)) is not None]
    if not shares or len(shares) < len(asked):
        return None
    return Measured(100 * sum(shares) / len(shares), None, min(map(len, asked)))


def returning_levels(frames: Frames, task: str, sparse_level: int, k: int, least: int = 1) -> Found:
    """Count the levels of the longest run in which the projection has left the set and the next solution is in it.

    A level counts if this is so for most seeds.
    """
    found, longest, run = _sets(frames, task, "pruning", k, least), 0, 0
    for level in range(max(found, default=-1) + 1):
        projection, following = (_inside(found[level], point) if level in found else None for point in ("projection", "next"))
        returns = projection is not None and following is not None and projection < 0.5 < following
        run = run + 1 if returns else 0
        longest = max(longest, run)
    return Measured(float(longest), None, min(map(len, found.values()))) if found else None


def lost_share(frames: Frames, task: str, sparse_level: int, k: int, least: int = 1, least_runs: int = 3) -> Found:
    """Give the share, in percent, of projections and next solutions outside the set where the next level is the first to fail."""
    matches, found = _matching.levels(frames, task, f"k{k}", least_runs), _sets(frames, task, "pruning", k, least)
    level = None if matches is None or all(matches[1:]) else _matching.depth(matches)
    if level is None or level not in found:
        return None
    shares = [share for point in ("projection", "next") if (share := _inside(found[level], point)) is not None]
    return Measured(100 - 100 * sum(shares) / 2, None, len(found[level])) if len(shares) == 2 else None


def _area(frames: Frames, task: str, plane: str, k: int, rows: pd.DataFrame) -> pd.Series | None:
    """Multiply the set's share of the plane by the plane's area, seed by seed."""
    if "planes" not in frames:
        return None
    frame, level = frames["planes"], int(rows["level"].iloc[0])
    own = frame[(frame["task"] == task) & (frame["plane"] == plane) & (frame["k"] == k) & (frame["level"] == level)]
    sides = own.groupby("seed")[["x", "y"]].max() - own.groupby("seed")[["x", "y"]].min()
    return rows.set_index("seed")["share"] * sides["x"] * sides["y"]


def _reach(rows: pd.DataFrame, column: str) -> pd.Series:
    return rows[column].astype(float).fillna(evidence.NOWHERE)


def set_trend(
    frames: Frames, task: str, sparse_level: int, plane: Literal["pruning", "directions"],
    extent: Literal["area", "reach_x", "reach_y"], k: int, least: int = 1, least_runs: int = 3,
) -> Found:  # fmt: skip
    """Give Spearman's correlation of the level with the set's mean size, over the levels that match."""
    matches, found = _matching.levels(frames, task, f"k{k}", least_runs), _sets(frames, task, plane, k, least)
    if matches is None or not set(found) <= set(range(len(matches))):
        return None
    kept = {level: rows for level, rows in found.items() if matches[level]}
    every = [_area(frames, task, plane, k, rows) if extent == "area" else _reach(rows, extent) for rows in kept.values()]
    means = [float(values.mean()) for values in every if values is not None and not values.isna().any()]
    if not kept or len(means) < len(kept):
        return None
    return spearman(list(kept), means, min(map(len, kept.values())))


def reach_ratio(frames: Frames, task: str, sparse_level: int, k: int, from_level: int, to_level: int, least: int = 1) -> Found:
    """Divide the set's mean reach in the direction of magnitude pruning by that across it, at the level where this is least.

    Levels at which both borders are beyond the plane do not count.
    """
    found = _sets(frames, task, "directions", k, least)
    asked = [found[level] for level in _matching.between(found, from_level, to_level) or []]
    means = [(float(_reach(rows, "reach_x").mean()), float(_reach(rows, "reach_y").mean())) for rows in asked]
    ratios = [x / y for x, y in means if y > 0 and min(x, y) < evidence.NOWHERE]
    return Measured(min(ratios), None, min(map(len, asked))) if ratios else None


def num_across(frames: Frames, task: str, sparse_level: int) -> Found:
    """Count the points along either axis of the plane that has the fewest."""
    frame = frames.get("planes")
    if frame is None or not (frame["task"] == task).any():
        return None
    sides = frame[frame["task"] == task].groupby(["seed", "plane", "k", "level"])[["x", "y"]].nunique()
    return Measured(float(sides.to_numpy().min()), None, len(sides))
