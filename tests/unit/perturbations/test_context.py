from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from pipeline_lib.core import registry
from pipeline_lib.core.rng import torch_generator
from pipeline_lib.perturbations.support.context import initial_deviation, scatter, survivors

NETWORK = nn.Sequential(nn.Conv2d(16, 48, 3), nn.Flatten(), nn.Linear(100, 400))
SHAPES = st.sampled_from([(2, 3), (3, 2, 1, 1), (2, 2, 3, 3)])


@st.composite
def masked(draw: st.DrawFn) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Weights, and a mask that lists them in another order and may keep none of them."""
    shapes = draw(st.lists(SHAPES, min_size=1, max_size=3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    weights = {f"{i}.weight": rng.standard_normal(shape).astype(np.float32) for i, shape in enumerate(shapes)}
    mask = {name: rng.random(weights[name].shape) < draw(st.sampled_from([0, 0.5, 1])) for name in reversed(weights)}
    return {name: np.where(mask[name], w, 0) for name, w in weights.items()}, mask


@pytest.mark.parametrize("name", list(registry.entries("initialisers")))
@pytest.mark.parametrize("tensor", ["0.weight", "2.weight"])
def test_every_initialisation_has_the_deviation_of_its_draws(name, tensor):
    draws = registry.entries("initialisers")[name].load()(NETWORK, torch_generator("around")).params[tensor].double()
    tolerance = 5 / (2 * draws.numel()) ** 0.5  # standard errors of a normal's deviation; a uniform's are smaller
    assert initial_deviation(name, draws.numpy()) == pytest.approx(draws.std().item(), rel=tolerance)


@pytest.mark.parametrize(
    ("name", "linear", "conv"),
    [
        ("kaiming_normal", 0.5, 2**-0.5 / 3),
        ("glorot_normal", (2 / 40) ** 0.5, (2 / 360) ** 0.5),
        ("kaiming_uniform", 24**-0.5, 108**-0.5),
    ],
)
def test_the_deviation_of_a_small_layer(name, linear, conv):
    assert initial_deviation(name, np.zeros((32, 8))) == pytest.approx(linear, rel=1e-15)
    assert initial_deviation(name, np.zeros((36, 4, 3, 3))) == pytest.approx(conv, rel=1e-15)


def test_without_a_formula_it_is_the_deviation_of_what_was_drawn():
    assert initial_deviation("new", np.array([[1, 1, 1, 1], [3, 3, 3, 3]], dtype=np.float32)) == 1


@given(masked())
def test_scatter_undoes_survivors(problem):
    weights, mask = problem
    vector = survivors(weights, mask)
    assert vector.shape == (sum(keep.sum() for keep in mask.values()),)
    back = scatter(vector, weights, mask)
    assert set(back) == set(weights)
    for name, tensor in back.items():
        assert tensor.dtype == weights[name].dtype
        np.testing.assert_array_equal(tensor, weights[name])


def test_survivors_come_in_the_masks_order():
    weights = {"a": np.array([[1.0, 2.0]]), "b": np.array([[3.0, 4.0]])}
    mask = {"b": np.array([[True, True]]), "a": np.array([[False, True]])}
    assert survivors(weights, mask).tolist() == [3, 4, 2]


def test_scatter_takes_the_dtype_of_what_it_is_like():
    mask = {"a": np.array([[False, True]])}
    (tensor,) = scatter(np.array([0.1]), {"a": np.ones((1, 2), np.float32)}, mask).values()
    assert tensor.dtype == np.float32
    assert tensor.tolist() == [[0, np.float32(0.1)]]
