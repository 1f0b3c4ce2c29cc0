"""Levels of the published ladder; cannot catch a wrong choice of which weights go."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from pipeline_lib.core.rng import numpy_generator
from pipeline_lib.pruning import masks, selection

LENET = {"fc1.weight": (300, 784), "fc2.weight": (100, 300), "fc3.weight": (10, 100)}


def _ladder(levels: int) -> list[dict[str, np.ndarray]]:
    rng = numpy_generator("ladder")
    weights = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in LENET.items()}
    found = [{name: np.ones(shape, dtype=bool) for name, shape in LENET.items()}]
    for _ in range(levels):
        found.append(selection.prune("magnitude", {"weights": weights}, found[-1], 0.2, "global"))
    return found


def test_twenty_levels_on_lenet_prune_the_exact_ceiling_of_a_fifth():
    remaining = 266_200
    for mask in _ladder(20):
        assert masks.num_kept(mask) == remaining
        remaining -= math.ceil(Fraction(1, 5) * remaining)


def test_level_fifteen_keeps_the_published_3_5_percent():
    assert round(100 * masks.density(_ladder(15)[-1]), 1) == 3.5


@pytest.mark.parametrize("remaining", [5, 10, 35, 266_200, 270_896, 11_000_000])
def test_the_ceiling_of_a_decimal_fraction_has_no_rounding_error(remaining):
    for hundredths in range(1, 100):
        expected = math.ceil(Fraction(hundredths, 100) * remaining)
        assert selection.num_pruned(remaining, hundredths / 100) == expected
