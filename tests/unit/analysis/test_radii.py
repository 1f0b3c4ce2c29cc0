from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import toys

from pipeline_lib.analysis.radii import direction, lemma_share, moved_along, survivors
from pipeline_lib.core.parameters import prunable
from pipeline_lib.core.rng import torch_generator


def _identity(block: torch.Tensor) -> torch.Tensor:
    return block


def test_moving_along_a_vector_moves_the_survivors_and_nothing_else():
    network = toys.dense_net()
    names, mask, state = prunable(network), toys.random_mask(network, 1), toys.scrambled(network)
    weights = survivors(state, names, mask)
    way = torch.arange(1.0, len(weights) + 1)
    moved = moved_along(state, names, mask, way)
    torch.testing.assert_close(survivors(moved, names, mask), weights + way)
    for name, tensor in state.params.items():
        same = ~torch.from_numpy(mask[name]) if name in names else torch.ones_like(tensor, dtype=torch.bool)
        assert torch.equal(moved.params[name][same], tensor[same])


@pytest.mark.parametrize("kind", ["random", "magnitude", "curvature"])
def test_directions_are_units_of_their_draw(kind):
    weights = torch.linspace(-1, 1, 50)
    one, again, other = (direction(kind, weights, _identity, torch_generator("d", i)) for i in (0, 0, 1))
    assert torch.equal(one, again)
    assert one.norm() == pytest.approx(1, abs=1e-6)
    assert abs(float(one @ other)) < 0.6


def test_directions_are_weighted():
    weights, curved = torch.tensor([0.0, 1.0, 100.0]), torch.tensor([1.0, 0.0, 0.0])
    assert direction("magnitude", weights, _identity, torch_generator(0))[0] == 0
    assert direction("magnitude", weights, _identity, torch_generator(0))[2].abs() > 0.9
    assert direction("curvature", weights, lambda v: curved * v, torch_generator(0)).abs().tolist() == [1, 0, 0]


def test_a_kind_must_be_known():
    with pytest.raises(ValueError, match="kind must be random, magnitude or curvature, got 'steep'"):
        direction("steep", torch.ones(2), _identity, torch_generator(0))


def test_the_lemma_in_its_own_axes():
    """Radii sqrt(2 epsilon / lambda) give sum c / (lambda + c) at c = 2 epsilon / R^2; an endless one counts as 1."""
    values, epsilon, distances = np.array([0.0, 0.5, 3.0]), 0.2, np.array([0.3, 2.0])
    with np.errstate(divide="ignore"):
        radii = np.sqrt(2 * epsilon / values)
    found, error = lemma_share(radii, distances)
    c = 2 * epsilon / distances**2
    np.testing.assert_allclose(found, (c / (values[:, None] + c)).mean(0))
    np.testing.assert_allclose(error, (c / (values[:, None] + c)).std(0, ddof=1) / math.sqrt(3))


def test_random_directions_give_at_most_the_lemmas_sum():
    values = np.geomspace(1e-3, 10, 40)
    ways = np.random.default_rng(0).normal(size=(200, 40))
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    found, _ = lemma_share(np.sqrt(0.4 / (ways**2 @ values)), np.array([1.0]))
    assert found[0] < (0.4 / (values + 0.4)).mean()


def test_without_radii_nothing_is_known():
    found, error = lemma_share(np.array([]), np.array([1.0]))
    assert np.isnan([*found, *error]).all()
    assert np.isnan(lemma_share(np.array([1.0]), np.array([1.0]))[1]).all()
