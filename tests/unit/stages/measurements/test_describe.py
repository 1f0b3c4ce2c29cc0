from __future__ import annotations

import subprocess
import sys
from itertools import combinations
from pathlib import Path

import by_hand
import numpy as np
import pandas as pd
import pytest

from pipeline_lib.analysis.magnitudes import quantiles
from pipeline_lib.core.rng import numpy_generator
from pipeline_lib.planning import declared
from pipeline_lib.stages.measurements import describe
from pipeline_lib.tables import tabulation

SEEDS = [3, 5]
SHAPES = {"stem.weight": (4, 3), "body.fc.weight": (2, 20)}  # not in the order that files sort them into
LEVELS = 3
OTHER = "k2 | lr_rewinding"
Arrays = dict[str, np.ndarray]
Made = tuple[dict[str, pd.DataFrame], dict[tuple[str, int, int], Arrays], list[list[Arrays]]]


def _draw(*what: str | int) -> Arrays:
    rng = numpy_generator("describe", *what)
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in SHAPES.items()}


def _times(weights: Arrays, mask: Arrays) -> Arrays:
    return {name: weights[name] * keep for name, keep in mask.items()}


def _masks(seed: int) -> list[Arrays]:
    """All ones, then at each level some fewer."""
    found = [{name: np.ones(shape, dtype=bool) for name, shape in SHAPES.items()}]
    for level in range(1, LEVELS):
        found.append({name: keep & (np.abs(_draw("mask", level, seed)[name]) > 0.25) for name, keep in found[-1].items()})
    return found


def _run(root: Path, diverged_at: int | None = None) -> Made:
    """Describe a ladder of three levels and one network of another; the second seed may diverge at some level."""
    masks = [_masks(seed) for seed in SEEDS]
    start = [_draw("rewind", seed) for seed in SEEDS]
    points = {("rewind", level, s): _times(start[i], masks[i][level]) for i, s in enumerate(SEEDS) for level in range(LEVELS)}
    for i, seed in enumerate(SEEDS):
        for level in range(LEVELS):
            points["solution", level, seed] = _times(_draw("solution", level, seed), masks[i][level])
            if level + 1 < LEVELS:
                points["projection", level, seed] = _times(points["solution", level, seed], masks[i][level + 1])

    def lost(level: int) -> list[bool]:
        return [False, diverged_at is not None and level >= diverged_at]

    states = [by_hand.state(root, f"w{n}", [points["solution", n, s] for s in SEEDS], lost(n)) for n in range(LEVELS)]
    states.append(by_hand.state(root, "lrr", [_times(_draw("lrr", s), m[1]) for s, m in zip(SEEDS, masks, strict=True)], lost(9)))
    kept = [by_hand.mask(root, f"m{n}", [m[n] for m in masks], lost(n - 1)) for n in range(1, LEVELS)]
    reads = {"rewind": [by_hand.state(root, "start", start, [False, False])], "states": states, "masks": kept}
    solutions = [{"start": "k2", "level": n, "state": n, "mask": n - 1 if n else None} for n in range(LEVELS)]
    solutions.append({"start": OTHER, "level": 1, "state": 3, "mask": 0})
    projections = [{"level": n, "state": n - 1, "mask": n - 1} for n in range(1, LEVELS)]
    spec = {"name": "toy", "seeds": SEEDS, "k": 2, "solutions": solutions, "projections": projections}
    job = by_hand.job(root, spec, reads)
    describe.run(job)
    return {name: tabulation.read(job.folder / f"{name}.parquet") for name in ("magnitudes", "geometry")}, points, masks


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Made:
    return _run(tmp_path_factory.mktemp("describe"))


def _flat(arrays: Arrays) -> np.ndarray:
    return np.concatenate([array.ravel() for array in arrays.values()]).astype(float)


def test_the_tables_have_their_documented_columns(made):
    for name, frame in made[0].items():
        assert set(frame.columns) == set(tabulation.measured(declared.COLUMNS[name]))
        assert not frame.isna().any(axis=None)


def test_the_distance_of_every_two_points_is_there_once(made):
    frames, points, _ = made
    for seed in SEEDS:
        own = frames["geometry"][frames["geometry"]["seed"] == seed]
        found = {((r.point_1, r.level_1), (r.point_2, r.level_2)): r.distance for r in own.itertuples()}
        kinds = ("rewind", "solution", "projection")
        names = [(kind, level) for kind in kinds for level in range(LEVELS) if (kind, level, seed) in points]
        assert len(names) == 8
        assert len(own) == len(found) == 28
        assert set(found) == set(combinations(names, 2))
        for (one, other), distance in found.items():
            apart = np.linalg.norm(_flat(points[*one, seed]) - _flat(points[*other, seed]))
            assert distance == pytest.approx(apart, rel=1e-6)


def test_a_projection_lies_where_the_pruned_weights_of_its_level_are_gone(made):
    frames, points, masks = made
    for i, seed in enumerate(SEEDS):
        rows = frames["geometry"][frames["geometry"]["seed"] == seed].set_index(["point_1", "level_1", "point_2", "level_2"])
        pruned = _flat(masks[i][1]) > _flat(masks[i][2])
        step = np.linalg.norm(_flat(points["solution", 1, seed])[pruned])
        assert rows.loc[("solution", 1, "projection", 1), "distance"] == pytest.approx(step, rel=1e-6)


def _expected(weights: Arrays, mask: Arrays) -> dict[float, float]:
    return quantiles(np.concatenate([weights[name][keep] for name, keep in mask.items()]))


def test_magnitudes_of_solutions_are_of_their_own_survivors_and_of_projections_of_the_level_before(made):
    frames, points, masks = made
    rows = frames["magnitudes"]
    assert len(rows) == 201 * len(SEEDS) * (LEVELS + LEVELS - 1 + 1)
    for i, seed in enumerate(SEEDS):
        expected = {("solution", "k2", n): _expected(points["solution", n, seed], masks[i][n]) for n in range(LEVELS)}
        expected |= {
            ("projection", "k2", n + 1): _expected(points["projection", n, seed], masks[i][n]) for n in range(LEVELS - 1)
        }
        expected["solution", OTHER, 1] = _expected(_times(_draw("lrr", seed), masks[i][1]), masks[i][1])
        for (of, start, level), ratios in expected.items():
            own = rows[(rows["seed"] == seed) & (rows["of"] == of) & (rows["start"] == start) & (rows["level"] == level)]
            assert dict(zip(own["quantile"], own["ratio"], strict=True)) == pytest.approx(ratios)
        zeros = rows[(rows["seed"] == seed) & (rows["ratio"] == 0)]
        assert set(zeros["of"]) == {"projection"}


def test_of_a_diverged_run_and_what_comes_from_it_there_is_nothing(tmp_path):
    frames, _, _ = _run(tmp_path, diverged_at=1)
    rows = frames["geometry"][frames["geometry"]["seed"] == SEEDS[1]]
    names = {*zip(rows["point_1"], rows["level_1"], strict=True), *zip(rows["point_2"], rows["level_2"], strict=True)}
    assert names == {("rewind", 0), ("rewind", 1), ("solution", 0), ("projection", 0)}
    rows = frames["magnitudes"][frames["magnitudes"]["seed"] == SEEDS[1]]
    assert set(zip(rows["of"], rows["start"], rows["level"], strict=True)) == {("solution", "k2", 0), ("projection", "k2", 1)}
    assert len(frames["geometry"][frames["geometry"]["seed"] == SEEDS[0]]) == 28


def test_networks_that_were_retrained_in_another_way_have_magnitudes_alone(tmp_path):
    weights = [_draw("other", seed) for seed in SEEDS]
    ones = [_masks(seed)[0] for seed in SEEDS]
    fine = [False, False]
    reads = {role: [by_hand.state(tmp_path, role, weights, fine)] for role in ("rewind", "states")}
    reads["masks"] = [by_hand.mask(tmp_path, "mask", ones, fine)]
    solutions = [{"start": OTHER, "level": 1, "state": 0, "mask": 0}]
    job = by_hand.job(tmp_path, {"name": "toy", "seeds": SEEDS, "k": 2, "solutions": solutions, "projections": []}, reads)
    describe.run(job)
    assert len(tabulation.read(job.folder / "geometry.parquet")) == 0
    made = tabulation.tabulate([job.folder / "geometry.parquet"], declared.COLUMNS["geometry"])
    assert (made.num_rows, made.column_names) == (0, [column.name for column in declared.COLUMNS["geometry"]])
    rows = tabulation.read(job.folder / "magnitudes.parquet")
    assert set(rows["start"]) == {OTHER}
    assert len(rows) == 2 * 201


def test_it_does_without_torch():
    code = "import sys; import pipeline_lib.stages.measurements.describe; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
