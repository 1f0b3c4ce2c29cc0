"""How much of each plane belongs to the solution's basin."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from pipeline_lib.analysis.sublevel_sets import Landscape, on_grid
from pipeline_lib.tables import rules

if TYPE_CHECKING:
    import pandas as pd

TABLES = {
    "sets": {
        "from": ["planes", "marks", "runs"],
        "of": ["the solution", "the next solution; null for directions"],
        "columns": [
            "task", "seed", "plane", "k", "level",
            ["threshold", "double", "1", "test error at most which a point belongs: that of dense networks plus one deviation"],
            ["share", "double", "1", "share of the plane's points in the linearly connected sublevel set of the solution"],
            ["solution_inside", "bool", "-", "whether the solution is in the set"],
            ["projection_inside", "bool", "-", "whether the projection is; null for directions"],
            ["next_inside", "bool", "-", "whether the next level's solution is; null for directions"],
            ["reach_x", "double", "1", "distance from the solution to the set's border along x"],
            ["reach_y", "double", "1", "distance from the solution to the set's border along y"],
        ],
    },
}  # fmt: skip

Frames = dict[str, "pd.DataFrame"]
Rows = list[dict[str, Any]]

_WHERE = ["task", "seed", "plane", "k", "level"]


def _named(key: Any) -> dict[str, Any]:
    return {name: str(part) if isinstance(part, str) else int(part) for name, part in zip(_WHERE, key, strict=True)}


def _measured(land: Landscape, marks: pd.DataFrame, threshold: float) -> dict[str, Any]:
    """Measure one plane's set; `marks` has a row a mark, by its name."""
    places, errors = marks[["x", "y"]].to_numpy(dtype=float), marks["test_error"].to_numpy(dtype=float)
    inside = dict(zip(marks.index, land.connected(places, errors, threshold).tolist(), strict=True))
    towards = (places - land.centre).sum(0)
    found: dict[str, Any] = {"threshold": threshold, "share": float(land.sublevel_set(threshold).mean())}
    found |= {f"{mark}_inside": inside.get(mark) for mark in ("solution", "projection", "next")}
    return found | {f"reach_{name}": land.reach(axis, bool(towards[axis] > 0), threshold) for axis, name in enumerate("xy")}


def sets(frames: Frames, spec: dict[str, Any]) -> Rows:
    """Find the linearly connected sublevel set around the solution in each plane, and how far it reaches towards the marks.

    The threshold is the mean test error of the task's dense networks plus one deviation over seeds. Reach is measured from the
    solution along each axis, on the side where the other marks are: 0 if the solution is above the threshold itself, null if
    the set's border is not inside the grid.

    Args:
        frames: `planes`, `marks` and `runs`.
        spec: not used.

    Source: paper C, definitions 2.2 and 2.4, and figures 3 and 6.
    """
    rows: Rows = []
    marks = dict(list(frames["marks"].groupby(_WHERE)))
    for key, points in frames["planes"].groupby(_WHERE, sort=True):
        who = _named(key)
        threshold = rules.highest_matching(frames["runs"], who["task"])
        if math.isfinite(threshold):
            found = _measured(on_grid(points, marks[key]), marks[key].set_index("mark"), threshold)
            homes = {name: points[name].iloc[0] for name in ("key", "other_key")}
            rows.append(who | found | {name: home if isinstance(home, str) else None for name, home in homes.items()})
    return rows
