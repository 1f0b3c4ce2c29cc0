"""Subspaces and wells against closed forms: exact for a round well, in the limit of many dimensions for a long-tailed one.

Neither says that a trained network's loss is a quadratic well, or that an axial subspace is like a random one.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize, stats

from pipeline_lib.analysis.wells import heights, long_tailed, probabilities, threshold
from pipeline_lib.core.rng import numpy_generator

EPSILON = 1.0


def _lowest(values: np.ndarray, trials: int) -> np.ndarray:
    return np.stack([heights(values, numpy_generator("wells", len(values), trial)) for trial in range(trials)])


def test_a_round_well_has_a_closed_form():
    """What a random subspace of d dimensions leaves of a unit vector's square is Beta((D - d) / 2, d / 2)."""
    dimension, trials, distance = 20, 2000, 2.0
    lowest = _lowest(np.full(dimension, 2.0), trials)
    found = probabilities(lowest, distance, EPSILON)
    for d in range(1, dimension):
        left = stats.beta((dimension - d) / 2, d / 2)
        assert stats.kstest(lowest[:, d], left.cdf).pvalue > 1e-4
        p = left.cdf(EPSILON / distance**2)
        assert found[d] == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / trials) + 1e-3)


@pytest.fixture(scope="module")
def long() -> tuple[np.ndarray, np.ndarray]:
    values = long_tailed(300)
    return values, _lowest(values, 100)


def _half(lowest: np.ndarray, distance: float) -> int:
    return int(np.argmax(probabilities(lowest, distance, EPSILON) >= 0.5))


@pytest.mark.parametrize("distance", [1.5, 2.0, 4.0, 8.0, 16.0])
def test_half_of_the_subspaces_meet_where_random_matrices_say(long, distance):
    """The limit for many dimensions: `d = d*(R sqrt(d / D))`, d* of the lemma; so d* itself is an upper bound.

    n = D - d Gaussian constraints B on z = H^(1/2) x leave the height `R^2 sum_i lambda_i / (1 + kappa lambda_i) / 2D`, where
    `n = sum_i 1 / (1 + kappa lambda_i)`; so the height is `R^2 d / (2 D kappa)`, and at epsilon `kappa = R^2 d / (2 epsilon D)`.
    """
    values, lowest = long
    exact = optimize.brentq(lambda d: threshold(values, distance * math.sqrt(d / 300), EPSILON) - d, 1, 299.99)
    assert _half(lowest, distance) == pytest.approx(exact, abs=4)


@pytest.mark.parametrize("distance", [4.0, 8.0, 16.0])
def test_half_of_the_subspaces_meet_just_below_the_lemmas_threshold(long, distance):
    """Within 6 % where R is well beyond most radii (median 1.4 here); nearer, the lemma's bound is looser."""
    values, lowest = long
    predicted, half = threshold(values, distance, EPSILON), _half(lowest, distance)
    assert 0.94 * predicted <= half <= predicted + 1
    assert probabilities(lowest, distance, EPSILON)[round(1.05 * predicted)] > 0.9 or predicted > 300 / 1.05


@pytest.mark.parametrize("distance", [1.5, 2.0, 4.0, 8.0, 16.0])
def test_the_transition_is_sharp(long, distance):
    values, lowest = long
    found = probabilities(lowest, distance, EPSILON)
    assert int(np.argmax(found >= 0.9)) - int(np.argmax(found >= 0.1)) < 300 * 0.13
    assert found[int(np.ceil(threshold(values, distance, EPSILON))) + 15 :].min(initial=1.0) > 0.9
