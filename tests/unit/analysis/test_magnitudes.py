from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_lib.analysis.magnitudes import distances, quantiles

WEIGHTS = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=60).filter(any)


@given(WEIGHTS)
def test_a_quantile_is_the_smallest_magnitude_with_that_share_at_or_below_it(values):
    found = quantiles(np.array(values, dtype=np.float32))
    magnitudes = sorted(map(abs, values))
    mean = sum(magnitudes) / len(magnitudes)
    assert list(found) == [i / 200 for i in range(201)]
    for i, ratio in enumerate(found.values()):
        enough = (m for m in magnitudes if Fraction(sum(n <= m for n in magnitudes), len(magnitudes)) >= Fraction(i, 200))
        assert ratio == pytest.approx(next(enough) / mean, rel=1e-12)


def test_shares_that_are_whole_numbers_of_weights_are_counted_exactly():
    # 0.07 * 100 is above 7 in floating point.
    found = quantiles(np.arange(1, 101, dtype=np.float32))
    assert {i: found[i / 200] * 50.5 for i in (0, 1, 2, 14, 40, 200)} == pytest.approx(
        {0: 1, 1: 1, 2: 1, 14: 7, 40: 20, 200: 100}
    )


def test_a_fifth_of_zeros_makes_the_quantile_at_a_fifth_zero_and_the_next_one_not():
    found = quantiles(np.concatenate([np.zeros(200), np.linspace(-2, -1, 800)]))
    assert found[0.2] == 0
    assert found[0.205] == pytest.approx(1 / 1.2, rel=0.01)


@given(WEIGHTS, st.sampled_from([-1, 0.25, 8]))
def test_ratios_have_no_unit_and_ascend_from_the_smallest_to_the_largest(values, factor):
    ratios = list(quantiles(np.array(values)).values())
    assert ratios == sorted(ratios)
    assert ratios == list(quantiles(factor * np.array(values)).values())


@pytest.mark.parametrize("weights", [np.zeros(0), np.zeros(3)])
def test_without_a_mean_there_are_no_ratios(weights):
    assert quantiles(weights) == {}


def test_the_mean_of_many_weights_is_added_up_in_float64():
    assert quantiles(np.full(2_000_000, 0.1, np.float32))[0.5] == pytest.approx(1, abs=1e-12)


def test_distances_are_of_every_two_points_in_their_order():
    points = {("solution", 1): np.array([3.0, 0.0]), ("rewind", 0): np.array([0.0, 4.0]), ("solution", 0): np.array([3.0, 4.0])}
    expected = {(("solution", 1), ("rewind", 0)): 5, (("solution", 1), ("solution", 0)): 4, (("rewind", 0), ("solution", 0)): 3}
    assert distances(points) == expected


def test_a_distance_is_added_up_in_float64():
    one = np.full(1_000_000, np.float32(0.1))
    pair = distances({("solution", 0): one, ("projection", 0): np.zeros_like(one)})
    assert list(pair.values()) == pytest.approx([1000 * float(np.float32(0.1))], rel=1e-12)
