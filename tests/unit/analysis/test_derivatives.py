"""Derivatives by weight, held against what is written down by hand for linear networks, differences and a direct backward."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import toys
from torch import Tensor, nn
from torch.func import functional_call

from pipeline_lib.analysis.curvature import Batches
from pipeline_lib.analysis.derivatives.gradients import gradients, squared_gradients
from pipeline_lib.analysis.derivatives.hessian_gradient import hessian_gradient, hot_hessian_gradient
from pipeline_lib.analysis.derivatives.synaptic_flow import synaptic_flow
from pipeline_lib.core.types import Mask, State
from pipeline_lib.pruning.masks import num_empty
from pipeline_lib.pruning.selection import prune

EVERY = [gradients, squared_gradients, hessian_gradient, hot_hessian_gradient, synaptic_flow]
NAMES = ("0.weight", "1.weight")


def _linear() -> tuple[nn.Sequential, State, Mask]:
    """A network `x -> B A x` of three inputs, two hidden units and two classes, and a mask that prunes an entry of each."""
    network = nn.Sequential(nn.Linear(3, 2, bias=False), nn.Linear(2, 2, bias=False))
    first = torch.tensor([[0.5, -1.0, 0.0], [2.0, 0.25, -0.75]], dtype=torch.float64)
    second = torch.tensor([[1.5, 0.0], [-0.5, 1.0]], dtype=torch.float64)
    mask = {name: (weight != 0).numpy() for name, weight in zip(NAMES, (first, second), strict=True)}
    return network, State(dict(zip(NAMES, (first, second), strict=True))), mask


def _batches(*sizes: int, inputs: int = 3) -> Batches:
    rng = np.random.default_rng(5)
    made = [(torch.from_numpy(rng.standard_normal((n, inputs))), torch.from_numpy(rng.integers(0, 2, n))) for n in sizes]
    return lambda: made


def _by_hand(state: State, x: np.ndarray, y: np.ndarray, temperature: float = 1) -> dict[str, np.ndarray]:
    """Give the mean gradient of the cross-entropy: `(p - e_y) (A x)^T / t` for B, and `B^T (p - e_y) x^T / t` for A."""
    first, second = (state.params[name].numpy() for name in NAMES)
    logits = x @ first.T @ second.T / temperature
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    off = (p - np.eye(2)[y]) / temperature
    return {"0.weight": (off @ second).T @ x / len(x), "1.weight": off.T @ (x @ first.T) / len(x)}


def _close(found: dict[str, Tensor], expected: dict[str, np.ndarray], mask: Mask, rtol: float = 1e-10) -> None:
    assert list(found) == list(mask)
    for name, keep in mask.items():
        assert not found[name].numpy()[~keep].any()
        np.testing.assert_allclose(found[name].numpy()[keep], expected[name][keep], rtol=rtol, atol=1e-12)


@pytest.mark.parametrize("sizes", [(7,), (3, 4), (1, 1, 5)])
def test_the_gradient_of_a_linear_network_is_that_written_down_whatever_the_batches(sizes):
    network, state, mask = _linear()
    batches = _batches(*sizes)
    x, y = (torch.cat(parts).numpy() for parts in zip(*batches(), strict=True))
    _close(gradients(network, state, batches, mask), _by_hand(state, x, y), mask)


def test_squares_are_those_of_each_mini_batch_by_its_size():
    network, state, mask = _linear()
    batches = _batches(2, 4, 3)
    own = [(_by_hand(state, x.numpy(), y.numpy()), len(y)) for x, y in batches()]
    expected = {name: sum(num * gradient[name] ** 2 for gradient, num in own) / 9 for name in NAMES}
    _close(squared_gradients(network, state, batches, mask), expected, mask)
    whole = {name: gradient.numpy() ** 2 for name, gradient in gradients(network, state, batches, mask).items()}
    assert (expected["1.weight"][mask["1.weight"]] > whole["1.weight"][mask["1.weight"]]).all()


@pytest.mark.parametrize(("derivative", "temperature"), [(hessian_gradient, 1), (hot_hessian_gradient, 200)])
def test_the_product_with_the_hessian_is_the_gradients_difference_along_itself(derivative, temperature):
    network, state, mask = _linear()
    batches = _batches(6)
    x, y = (part.numpy() for part in batches()[0])
    gradient = {name: each * mask[name] for name, each in _by_hand(state, x, y, temperature).items()}
    step = 1e-5 * temperature
    ends = []
    for by in (step, -step):
        moved = {name: tensor + torch.from_numpy(by * gradient[name]) for name, tensor in state.params.items()}
        ends.append(_by_hand(State(moved), x, y, temperature))
    expected = {name: (ends[0][name] - ends[1][name]) / (2 * step) for name in NAMES}
    _close(derivative(network, state, batches, mask), expected, mask, rtol=1e-6)


def _norm_gradient(network: nn.Module, state: State, x: Tensor, y: Tensor, mask: Mask) -> dict[str, np.ndarray]:
    """Differentiate half the squared norm of the survivors' gradient, by a backward of a backward."""
    leaves = {name: state.params[name].clone().requires_grad_() for name in mask}
    buffers = {name: tensor.clone() for name, tensor in state.buffers.items()}
    loss = F.cross_entropy(functional_call(network.train(), {**state.params, **leaves, **buffers}, (x,)), y)
    first = torch.autograd.grad(loss, list(leaves.values()), create_graph=True)
    half = sum((g * torch.from_numpy(mask[name])).square().sum() for name, g in zip(leaves, first, strict=True)) / 2
    return {name: g.numpy() for name, g in zip(leaves, torch.autograd.grad(half, list(leaves.values())), strict=True)}


@pytest.mark.parametrize("name", toys.NETWORKS)
def test_the_product_with_the_hessian_is_half_the_gradient_of_the_squared_norm(name):
    network, mask = toys.NETWORKS[name](), toys.random_mask(toys.NETWORKS[name]())
    state = toys.double(toys.masked(toys.scrambled(network), mask))
    x, y = toys.DoubleStream(size=9).at(0)
    _close(hessian_gradient(network, state, lambda: [(x, y)], mask), _norm_gradient(network, state, x, y, mask), mask)


def test_batchnorm_normalises_by_each_mini_batch_and_keeps_its_statistics():
    network = toys.norm_net()
    mask, state = toys.random_mask(network), toys.double(toys.scrambled(network))
    before = {name: tensor.clone() for name, tensor in state.buffers.items()}
    x, y = toys.DoubleStream(size=9).at(0)
    found = gradients(network, state, lambda: [(x, y)], mask)
    other = State(state.params, {name: tensor + 1 for name, tensor in state.buffers.items()})
    assert toys.same(found, gradients(network, other, lambda: [(x, y)], mask))
    assert toys.same(before, dict(state.buffers))


def test_synaptic_flow_of_a_linear_network_is_that_written_down():
    """`R = 1^T |B| |A| 1`, so `dR/d|B|_ij = sum_k |A|_jk` and `dR/d|A|_jk = sum_i |B|_ij`."""
    network, state, mask = _linear()
    found = synaptic_flow(network, state, _batches(4), mask)
    expected = {"0.weight": np.array([[2.0, 2.0, 2.0], [1.0, 1.0, 1.0]]), "1.weight": np.array([[1.5, 3.0], [1.5, 3.0]])}
    _close(found, expected, mask)
    into, out_of = (found[n].numpy() * state.params[n].abs().numpy() for n in NAMES)
    np.testing.assert_allclose(into.sum(1), out_of.sum(0), rtol=1e-12)  # what a unit takes in it passes on


def test_synaptic_flow_looks_at_no_data_and_no_sign():
    network, state, mask = _linear()
    flipped = State({name: -tensor for name, tensor in state.params.items()})
    found = [synaptic_flow(network, each, _batches(size), mask) for each, size in ((state, 4), (state, 1), (flipped, 2))]
    assert toys.same(found[0], found[1])
    assert toys.same(found[0], found[2])


@pytest.mark.parametrize("derivative", EVERY)
def test_a_float32_state_gives_the_same_numbers_and_is_not_changed(derivative: Callable[..., dict[str, Tensor]]):
    network = toys.norm_net()
    mask = toys.random_mask(network)
    state = toys.masked(toys.scrambled(network), mask)
    before = {name: tensor.clone() for name, tensor in state.params.items()}
    x, y = toys.DoubleStream(size=9).at(0)
    found = derivative(network, state, lambda: [(x.float(), y)], mask)
    exact = derivative(network, toys.double(state), lambda: [(x, y)], mask)
    largest = max(float(each.abs().max()) for each in exact.values())
    for name, keep in mask.items():
        assert found[name].shape == keep.shape and not found[name].numpy()[~keep].any()
        np.testing.assert_allclose(found[name].double(), exact[name], rtol=1e-3, atol=1e-4 * largest)
    assert toys.same(before, dict(state.params)) and not any(t.requires_grad for t in state.params.values())


@pytest.mark.parametrize(("rounds", "emptied"), [(1, 1), (40, 0)])
def test_pruning_by_synaptic_flow_in_rounds_keeps_all_layers(rounds, emptied):
    """Each layer's scores have one sum: at once the widest one, 384 of 464 weights, goes; in rounds what is left of it gains."""
    network = nn.Sequential(nn.Linear(48, 8, bias=False), nn.Linear(8, 8, bias=False), nn.Linear(8, 2, bias=False))
    weights = {name: tensor.detach().double() for name, tensor in toys.start(network).params.items()}
    mask: Mask = {name: np.ones(tensor.shape, dtype=bool) for name, tensor in weights.items()}
    for _ in range(rounds):
        state = State({name: tensor * torch.from_numpy(mask[name]) for name, tensor in weights.items()})
        flow = {name: each.numpy() for name, each in synaptic_flow(network, state, _batches(1, inputs=48), mask).items()}
        known = {"weights": {name: tensor.numpy() for name, tensor in weights.items()}, "synaptic_flow": flow}
        mask = prune("synflow", known, mask, 1 - 0.03 ** (1 / rounds), "global")
    assert num_empty(mask) == emptied
