from __future__ import annotations

import math

import numpy as np
import pytest

from pipeline_lib.analysis.rays import HALVINGS, reaches

PLACES = [0.25 * i for i in range(1, 9)]


def _disc(points: list[tuple[int, float]]) -> list[float]:
    return [distance for _, distance in points]


@pytest.mark.parametrize("threshold", [0.01, 0.25, 0.425, 0.5, 1.9])
def test_the_reach_of_a_disc_is_its_radius_to_a_fraction_of_a_step(threshold):
    found = reaches(_disc, 2, 0.0, [threshold], PLACES)
    assert found == {(ray, 0): pytest.approx(threshold, abs=0.25 / 2**HALVINGS) for ray in (0, 1)}


def test_a_grid_cell_is_not_a_border():
    """A border at .283 of a profile that bends within one cell of .513: linear interpolation in the cell said .135."""
    found = reaches(lambda points: [0.0 if r < 0.283 else 5.0 for _, r in points], 1, 0.0, [0.1], [0.513, 1.026])
    assert found[0, 0] == pytest.approx(0.283, abs=0.513 / 2**HALVINGS)


def test_the_first_border_counts_though_it_is_lower_again_beyond():
    profile = {0.25: 0.0, 0.5: 1.0, 0.75: 0.0}
    found = reaches(lambda points: [profile.get(r, 1.0 if 0.4 < r < 0.6 else 0.0) for _, r in points], 1, 0.0, [0.5], PLACES)
    assert found[0, 0] == pytest.approx(0.4, abs=1e-3)


def test_each_ray_and_threshold_has_its_own_border():
    found = reaches(lambda points: [r * (1 + ray) for ray, r in points], 2, 0.0, [0.6, 1.2, 99.0], PLACES)
    assert [found[ray, i] for ray in (0, 1) for i in (0, 1)] == pytest.approx([0.6, 1.2, 0.3, 0.6], abs=1e-3)
    assert found[0, 2] is found[1, 2] is None


def test_a_centre_above_the_threshold_reaches_nowhere():
    assert reaches(_disc, 1, 0.5, [0.4, 0.5], PLACES)[0, 0] == 0


def test_what_is_no_number_is_above():
    assert reaches(lambda points: [math.nan if r > 0.3 else 0.0 for _, r in points], 1, 0.0, [9.0], PLACES)[0, 0] == (
        pytest.approx(0.3, abs=1e-3)
    )


def test_rays_that_are_known_are_not_measured_any_more():
    asked: list[tuple[int, float]] = []

    def heights(points: list[tuple[int, float]]) -> list[float]:
        asked.extend(points)
        return [r * (9 if ray else 1) for ray, r in points]

    reaches(heights, 2, 0.0, [0.5], PLACES)
    assert [r for ray, r in asked if ray and r in PLACES] == [0.25]
    assert len(asked) == 1 + 3 + 2 * HALVINGS
    assert np.isfinite(asked).all()
