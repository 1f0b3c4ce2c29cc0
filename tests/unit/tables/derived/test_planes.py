"""The sublevel set on made-up landscapes whose answers are known, and the table of sets."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_lib.analysis.sublevel_sets import Landscape
from pipeline_lib.core import registry
from pipeline_lib.planning import declared
from pipeline_lib.tables import rules, tabulation
from pipeline_lib.tables.derived import planes

RADIUS = 0.7


def _bowl(num: int = 41, centre: tuple[float, float] = (0.0, 0.0), wall: float | None = None) -> Landscape:
    """Error = distance from the centre, on a square of side 2; beyond `wall`, a strip of high error that is two cells wide."""
    axis = np.linspace(-1, 1, num)
    x, y = np.meshgrid(axis, axis)
    errors = np.hypot(x - centre[0], y - centre[1])
    if wall is not None:
        errors[(x >= wall) & (x <= wall + 4.01 / (num - 1))] = 9.0
    return Landscape(axis, axis, errors, np.array(centre), 0.0)


def test_a_disc_is_its_own_set():
    land = _bowl()
    np.testing.assert_array_equal(land.sublevel_set(RADIUS), land.errors <= RADIUS)
    assert land.sublevel_set(RADIUS).mean() == pytest.approx(np.pi * (20 * RADIUS) ** 2 / 41**2, rel=0.02)


def test_points_behind_a_wall_are_not_in_the_set():
    land = _bowl(wall=0.3)
    found, x = land.sublevel_set(RADIUS), np.tile(land.x, (41, 1))
    np.testing.assert_array_equal(found, (land.errors <= RADIUS) & (x < 0.3))
    assert (land.errors[x > 0.5] <= RADIUS).any()  # there are low points behind it


def test_points_are_seen_past_the_end_of_a_wall():
    """A wall at x = 0.5 for y up to 0.1: what lies in its shadow is hidden, what lies above it is not."""
    axis = np.linspace(-1, 1, 41)
    x, y = np.meshgrid(axis, axis)
    errors = np.where((np.abs(x - 0.5) < 0.051) & (y < 0.11), 1.0, 0.0)
    land = Landscape(axis, axis, errors, np.zeros(2), 0.0)
    found = land.sublevel_set(0.5)
    behind = x > 0.6
    np.testing.assert_array_equal(found[behind & (y > 0.35 * x)], True)
    np.testing.assert_array_equal(found[behind & (y < 0.15 * x)], False)


@given(st.integers(0, 10**6), st.floats(0.2, 0.9))
def test_the_set_is_star_convex_in_the_rays_of_the_grid(seed, threshold):
    """With the solution on the grid: what lies on the way to a point of the set, on the grid, is in the set."""
    axis = np.linspace(-1, 1, 13)
    errors = np.random.default_rng(seed).random((13, 13))
    errors[6, 6] = 0.0
    land = Landscape(axis, axis, errors, np.zeros(2), 0.0)
    found = land.sublevel_set(threshold)
    assert found[6, 6]
    assert (errors[found] <= threshold).all()
    for row, column in np.argwhere(found) - 6:
        num = np.gcd(row, column)
        for i in range(num):
            assert found[6 + row // num * i, 6 + column // num * i]


def test_where_the_solution_is_above_the_threshold_nothing_is_in_the_set():
    bowl = _bowl()
    land = Landscape(bowl.x, bowl.y, bowl.errors, bowl.centre, 0.8)
    assert not land.sublevel_set(RADIUS).any()
    assert land.reach(0, True, RADIUS) == 0


@pytest.mark.parametrize("centre", [(0.0, 0.0), (0.13, -0.21)])
@pytest.mark.parametrize(("axis", "forwards"), [(0, True), (0, False), (1, True), (1, False)])
def test_the_reach_of_a_disc_is_its_radius(centre, axis, forwards):
    assert _bowl(centre=centre).reach(axis, forwards, RADIUS) == pytest.approx(RADIUS, abs=0.01)


def test_the_reach_is_interpolated_between_points_of_the_grid():
    """Error 0 at x <= 0, then 1, 3, 2 at x = 1, 2, 3: the first crossing of 2 is at 1.5, of 3 nowhere."""
    x, y = np.arange(-1.0, 4.0), np.array([0.0, 1.0])
    land = Landscape(x, y, np.tile([0.0, 0.0, 1.0, 3.0, 2.0], (2, 1)), np.array([0.0, 0.0]), 0.0)
    assert land.reach(0, True, 2.0) == 1.5
    assert land.reach(0, True, 1.0) == 1.0
    assert land.reach(0, True, 3.0) is None
    assert land.reach(0, False, 0.5) is None
    assert land.reach(1, True, 0.5) is None


def test_the_reach_counts_from_the_solution_and_its_own_error():
    x = np.array([0.0, 1.0, 2.0])
    land = Landscape(x, x, np.tile([0.0, 0.0, 4.0], (3, 1)), np.array([1.5, 1.0]), 1.0)
    assert land.reach(0, True, 2.5) == pytest.approx(0.25)


def test_between_points_errors_are_bilinear():
    x = np.array([0.0, 2.0])
    land = Landscape(x, x, np.array([[0.0, 2.0], [4.0, 8.0]]), np.zeros(2), 0.0)
    np.testing.assert_allclose(land.between(np.array([[1.0, 1.0], [2.0, 1.0], [0.5, 0.0], [9.0, 9.0]])), [3.5, 5, 0.5, 8])


PLACES = {
    "pruning": {"solution": (0.0, 0.5), "projection": (0.0, 0.0), "next": (0.4, 0.0)},
    "directions": {"solution": (0.0, 0.0), "magnitude": (0.3, 0.0), "random": (0.2, 0.4)},
}


def _frames(dense: list[float | None], plane: str, **more: Any) -> dict[str, pd.DataFrame]:
    """A plane whose error is 0.1 plus the distance from the solution, and dense networks."""
    who = {"task": "toy", "seed": 3, "plane": plane, "k": 5, "level": 2} | more
    marks, axis = PLACES[plane], np.linspace(-1, 1, 41)
    homes = {"key": "solution", "other_key": "next" if plane == "pruning" else None}

    def row(x: float, y: float) -> dict[str, Any]:
        error = 0.1 + np.hypot(x - marks["solution"][0], y - marks["solution"][1])
        return who | homes | {"x": x, "y": y, "test_error": error, "test_loss": 2 * error}

    highest = float(rules.matching_error([math.nan if error is None else error for error in dense]))
    own = 0.1 + highest - float(np.nanmean([error or math.nan for error in dense])) if math.isfinite(highest) else math.nan
    rays = [
        who | homes | {"axis": axis, "forwards": forwards, "of": of, "threshold": at, "reach": max(at - 0.1, 0.0)}
        for (of, at), axis, forwards in itertools.product((("dense", highest), ("own", own)), "xy", (True, False))
        if math.isfinite(at)
    ]
    points = pd.DataFrame([row(x, y) for y in axis for x in axis]).sample(frac=1, random_state=0)
    reaches = pd.DataFrame(rays, columns=[*who, *homes, "axis", "forwards", "of", "threshold", "reach"])
    return {"planes": points, "marks": pd.DataFrame([row(*p) | {"mark": m} for m, p in marks.items()]), "reaches": reaches}


def test_the_set_of_the_pruning_plane():
    """The threshold is 0.55 = the mean of 0.5 and 0.6: no more than 0.45 + deviation away."""
    threshold = 0.55 + 0.1 / 2**0.5
    (found,) = planes.sets(_frames([0.5, 0.6], "pruning"), {})
    assert [found[name] for name in planes._WHERE] == ["toy", 3, "pruning", 5, 2]
    assert found["threshold"] == pytest.approx(threshold)
    radius = threshold - 0.1  # the projection is 0.5 away, the next solution 0.64
    assert [found[f"{mark}_inside"] for mark in ("solution", "projection", "next")] == [True, True, False]
    assert (found["reach_x"], found["reach_y"]) == (pytest.approx(radius, abs=0.01), pytest.approx(radius, abs=0.01))
    assert found["share"] == pytest.approx((_bowl(centre=(0.0, 0.5)).errors <= radius).mean(), abs=0.01)


def test_the_set_up_to_the_solutions_own_error_is_beside_the_matching_one():
    """Definition 2.4 is of E(w) + epsilon: 0.1 + 0.1 / sqrt(2), less than the mean of dense networks here."""
    (found,) = planes.sets(_frames([0.5, 0.6], "pruning"), {})
    radius = 0.1 / 2**0.5
    assert found["own_threshold"] == pytest.approx(0.1 + radius)
    assert (found["own_projection_inside"], found["own_next_inside"]) == (False, False)
    assert found["own_share"] == pytest.approx((_bowl(centre=(0.0, 0.5)).errors <= radius).mean(), abs=0.01)
    assert (found["own_reach_x"], found["own_reach_y"]) == (pytest.approx(radius), pytest.approx(radius))


def test_reach_goes_towards_the_marks():
    """The other marks are below the solution, and on its right."""
    frames = _frames([1.3], "pruning")
    right = (frames["reaches"]["axis"] == "x") & frames["reaches"]["forwards"]
    down = (frames["reaches"]["axis"] == "y") & ~frames["reaches"]["forwards"]
    frames["reaches"]["reach"] = np.where(right, math.nan, np.where(down, 1.2, 9.0))
    (found,) = planes.sets(frames, {})
    assert (found["reach_x"], found["reach_y"]) == (None, 1.2)


def test_the_set_of_the_plane_of_directions():
    (found,) = planes.sets(_frames([0.45], "directions"), {})
    assert (found["threshold"], found["solution_inside"]) == (pytest.approx(0.452), True)
    assert found["projection_inside"] is None
    assert found["next_inside"] is None
    assert (found["reach_x"], found["reach_y"]) == (pytest.approx(0.35, abs=0.01), pytest.approx(0.35, abs=0.01))


def test_a_mark_behind_a_wall_is_outside_though_its_error_is_low():
    frames = _frames([0.9], "pruning")
    frames["planes"].loc[frames["planes"]["y"].between(0.2, 0.31), "test_error"] = 2.0
    (found,) = planes.sets(frames, {})
    assert [found[f"{mark}_inside"] for mark in ("solution", "projection", "next")] == [True, False, False]


def test_a_solution_above_the_threshold_has_an_empty_set():
    (found,) = planes.sets(_frames([0.09], "directions"), {})
    assert (found["share"], found["solution_inside"], found["reach_x"], found["reach_y"]) == (0, False, 0, 0)


def test_planes_are_kept_apart_and_rows_have_the_documented_columns():
    parts = [_frames([0.45], "directions", level=level) for level in (2, 0)] + [_frames([0.45], "pruning")]
    frames = {name: pd.concat([part[name] for part in parts]) for name in parts[0]}
    rows = planes.sets(frames, {})
    assert [(row["plane"], row["level"]) for row in rows] == [("directions", 0), ("directions", 2), ("pruning", 2)]
    for row in rows:
        assert {*row, "environment", "experiment", "member", "other_member"} == {
            column.name for column in declared.COLUMNS["sets"]
        }
        assert (row["key"], row["other_key"]) == ("solution", "next" if row["plane"] == "pruning" else None)
    assert tabulation.to_arrow(rows, declared.COLUMNS["sets"]).num_rows == 3


def test_without_dense_networks_there_is_no_set():
    assert planes.sets(_frames([None], "pruning"), {}) == []


def test_without_planes_there_is_no_set():
    empty = {name: pd.DataFrame(columns=[c.name for c in declared.COLUMNS[name]]) for name in ("planes", "marks", "reaches")}
    assert planes.sets(empty, {}) == []


def test_the_table_is_registered():
    entries = registry.entries("derived")
    assert entries["sets"].module == "pipeline_lib.tables.derived.planes"
    assert not any(entry.module.rpartition(".")[2].startswith("_") for entry in entries.values())
