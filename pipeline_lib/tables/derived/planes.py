"""How much of each plane belongs to the solution's basin."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from pipeline_lib.analysis.sublevel_sets import Landscape, on_grid

if TYPE_CHECKING:
    import pandas as pd

TABLES = {
    "sets": {
        "from": ["planes", "marks", "reaches"],
        "of": ["the solution", "the next solution; null for directions"],
        "columns": [
            "task", "seed", "plane", "k", "level",
            ["threshold", "double", "1", "test error at most which a point belongs: that of dense networks plus one deviation"],
            ["share", "double", "1", "share of the plane's points in the linearly connected sublevel set of the solution"],
            ["solution_inside", "bool", "-", "whether the solution is in the set"],
            ["projection_inside", "bool", "-", "whether the projection is; null for directions"],
            ["next_inside", "bool", "-", "whether the next level's solution is; null for directions"],
            ["reach_x", "double", "1", "distance from the solution to the set's border along x, towards the marks"],
            ["reach_y", "double", "1", "distance from the solution to the set's border along y, towards the marks"],
            ["own_threshold", "double", "1", "of definition 2.4: the solution's error plus the dense networks' deviation"],
            ["own_share", "double", "1", "share of the plane's points in the set up to that error"],
            ["own_projection_inside", "bool", "-", "whether the projection is in it; null for directions"],
            ["own_next_inside", "bool", "-", "whether the next level's solution is; null for directions"],
            ["own_reach_x", "double", "1", "as reach_x"],
            ["own_reach_y", "double", "1", "as reach_y"],
        ],
    },
}  # fmt: skip

Frames = dict[str, "pd.DataFrame"]
Rows = list[dict[str, Any]]

_WHERE = ["task", "seed", "plane", "k", "level"]


def _named(key: Any) -> dict[str, Any]:
    return {name: str(part) if isinstance(part, str) else int(part) for name, part in zip(_WHERE, key, strict=True)}


def _inside(land: Landscape, marks: pd.DataFrame, threshold: float) -> dict[str, Any]:
    """Measure one set of a plane; `marks` has a row a mark, by its name."""
    places, errors = marks[["x", "y"]].to_numpy(dtype=float), marks["test_error"].to_numpy(dtype=float)
    inside = dict(zip(marks.index, land.connected(places, errors, threshold).tolist(), strict=True))
    found: dict[str, Any] = {"share": float(land.sublevel_set(threshold).mean())}
    return found | {f"{mark}_inside": inside.get(mark) for mark in ("solution", "projection", "next")}


def _towards(land: Landscape, marks: pd.DataFrame, reaches: pd.DataFrame) -> dict[str, float | None]:
    """Give how far a set reaches along each axis, on the side where the other marks are."""
    ahead, found = (marks[["x", "y"]].to_numpy(dtype=float) - land.centre).sum(0) > 0, {}
    for name, forwards in zip("xy", ahead.tolist(), strict=True):
        (reach,) = reaches[(reaches["axis"] == name) & (reaches["forwards"] == forwards)]["reach"].tolist()
        found[f"reach_{name}"] = None if reach is None or math.isnan(reach) else float(reach)
    return found


def _measured(land: Landscape, marks: pd.DataFrame, reaches: pd.DataFrame) -> dict[str, Any]:
    """Measure both sets of a plane."""
    found: dict[str, Any] = {}
    for of, prefix in (("dense", ""), ("own", "own_")):
        own = reaches[reaches["of"] == of]
        threshold = float(own["threshold"].iloc[0])
        each = {"threshold": threshold} | _inside(land, marks, threshold) | _towards(land, marks, own)
        found |= {f"{prefix}{name}": value for name, value in each.items()}
    del found["own_solution_inside"]  # it always is
    return found


def sets(frames: Frames, spec: dict[str, Any]) -> Rows:
    """Find the linearly connected sublevel sets around the solution in each plane, and how far they reach towards the marks.

    One is the matching set, up to the mean test error of the task's dense networks plus one deviation over seeds; the other,
    under `own_`, goes up to the solution's own error plus that deviation. Reach is measured from the solution along each axis,
    on the side where the other marks are: 0 if the solution is above the threshold itself, null if the set's border is far out.

    Args:
        frames: `planes`, `marks` and `reaches`.
        spec: not used.

    Source: paper C, definitions 2.2 and 2.4, and figures 3 and 6.
    Differs: definition 2.4 is of `E(w) + epsilon`, the figures draw the matching contour; the paper has one name for both.
    """
    rows: Rows = []
    marks, reaches = (dict(list(frames[name].groupby(_WHERE))) for name in ("marks", "reaches"))
    for key, points in frames["planes"].groupby(_WHERE, sort=True):
        if key in reaches:
            own = marks[key]
            found = _measured(on_grid(points, own), own.set_index("mark"), reaches[key])
            homes = {name: points[name].iloc[0] for name in ("key", "other_key")}
            rows.append(_named(key) | found | {name: home if isinstance(home, str) else None for name, home in homes.items()})
    return rows
