from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_lib.analysis.wells import heights, long_tailed, probabilities, threshold
from pipeline_lib.core.rng import numpy_generator
from pipeline_lib.planning import declared
from pipeline_lib.stages.landscape import wells as stage
from pipeline_lib.store.job import Job
from pipeline_lib.tables import tabulation

SPEC = {"dimension": 12, "distances": [2, 8], "epsilon": 1, "trials": 30, "subspaces": 5}


def test_the_planted_spectrum_is_log_normal_with_median_1():
    values = long_tailed(501)
    logs = np.log(values)
    assert values[250] == pytest.approx(1)
    np.testing.assert_allclose(logs, -logs[::-1], atol=1e-9)
    assert logs.std() == pytest.approx(3, rel=0.01)
    assert (logs > 3).mean() == pytest.approx(0.1587, abs=0.002)  # beyond one deviation
    assert (np.diff(values) > 0).all()
    assert long_tailed(1).tolist() == [1]


def test_a_well_has_at_least_one_dimension():
    with pytest.raises(ValueError, match="dimension must be at least 1, got 0; a well has directions"):
        long_tailed(0)


def test_the_threshold_of_a_round_well():
    assert threshold(np.full(10, 4.0), 3.0, 2.0) == pytest.approx(10 - 10 * 1 / (9 + 1))  # radius 1
    assert threshold(np.array([1.0, 100.0]), 1.0, 0.5) == pytest.approx(2 - 1 / 2 - 0.01 / 1.01)


def test_the_threshold_grows_with_the_distance_and_falls_with_the_set():
    values = long_tailed(50)
    by_distance = [threshold(values, distance, 1.0) for distance in (0.0, 0.1, 1.0, 10.0, 1e9)]
    assert by_distance == sorted(by_distance)
    assert (by_distance[0], by_distance[-1]) == (pytest.approx(0), pytest.approx(50))
    assert threshold(values, 1.0, 2.0) < threshold(values, 1.0, 1.0)


@pytest.mark.parametrize("epsilon", [0.0, -1.0, math.nan])
def test_a_sublevel_set_has_a_height(epsilon):
    with pytest.raises(ValueError, match=f"epsilon must be positive, got {epsilon}; it is the height of the sublevel set"):
        threshold(np.ones(3), 1.0, epsilon)


def test_heights_are_the_constrained_minima():
    """Against the normal equations of each subspace: the same draw, P its last column."""
    values, dimension = np.array([0.1, 0.5, 1.0, 2.0, 9.0, 40.0]), 6
    drawn = numpy_generator("well", 0).standard_normal((dimension, dimension + 1))
    centre = drawn[:, -1] / np.linalg.norm(drawn[:, -1])
    found = heights(values, numpy_generator("well", 0))
    for d in range(dimension + 1):
        basis = drawn[:, :d]
        lowest = centre - basis @ np.linalg.solve(basis.T @ (values[:, None] * basis), basis.T @ (values * centre))
        assert found[d] == pytest.approx(lowest @ (values * lowest) / 2, abs=1e-10)
    assert found[-1] == 0


@given(st.integers(1, 12), st.integers(0, 10**6))
def test_more_directions_never_lie_higher(dimension, seed):
    found = heights(long_tailed(dimension), numpy_generator("well", seed))
    assert found.shape == (dimension + 1,)
    assert (np.diff(found) <= 0).all()
    assert (found >= 0).all()


def test_heights_are_the_same_every_time():
    first, second = (heights(long_tailed(9), numpy_generator("well", 3)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_probabilities_count_trials_and_grow_with_the_square_of_the_distance():
    lowest = np.array([[4.0, 1.0, 0.0], [4.0, 2.0, 0.0]])
    assert probabilities(lowest, 1.0, 1.0).tolist() == [0, 0.5, 1]
    assert probabilities(lowest, 0.5, 1.0).tolist() == [1, 1, 1]
    assert probabilities(lowest, 2.0, 1.0).tolist() == [0, 0, 1]
    assert probabilities(lowest, 2.0, 4.0).tolist() == [0, 0.5, 1]


def _frame(tmp_path, **more: object):
    stage.run(Job("made_up", SPEC | more, tmp_path, {}))
    return tabulation.read(tmp_path / "wells.parquet")


def test_the_stage_measures_a_curve_a_distance(tmp_path):
    found = _frame(tmp_path)
    added = {"key", "environment", "experiment"}  # by tabulation
    assert set(found.columns) | added == {column.name for column in declared.COLUMNS["wells"]}
    assert found["subspace"].tolist() == [0, 3, 6, 9, 12] * 2
    assert set(zip(found["dimension"], found["num_trials"], found["epsilon"], strict=True)) == {(12, 30, 1.0)}
    values = long_tailed(12)
    lowest = np.stack([heights(values, numpy_generator("wells", 12, trial)) for trial in range(30)])
    for distance, own in found.groupby("distance"):
        assert own["probability"].tolist() == probabilities(lowest, distance, 1.0)[::3].tolist()
        assert set(own["threshold"]) == {threshold(values, distance, 1.0)}
        assert own["probability"].is_monotonic_increasing
    near, far = (own["probability"].to_numpy() for _, own in found.groupby("distance"))
    assert (near >= far).all()


def test_no_dimension_is_measured_twice(tmp_path):
    assert _frame(tmp_path, dimension=3, subspaces=50)["subspace"].tolist() == [0, 1, 2, 3] * 2
