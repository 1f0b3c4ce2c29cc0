from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
import toys
from torch.func import functional_call

from pipeline_lib.analysis.curvature import gauss_newton_product, hessian_product
from pipeline_lib.core.parameters import prunable
from pipeline_lib.core.rng import torch_generator
from pipeline_lib.core.types import Mask, State
from pipeline_lib.pruning.masks import num_kept
from pipeline_lib.training.evaluation import chunks
from pipeline_lib.training.precision import Numerics

OPERATORS = {"hessian": hessian_product, "gauss-newton": gauss_newton_product}


@pytest.fixture(params=list(toys.NETWORKS))
def network(request):
    return toys.NETWORKS[request.param]()


@pytest.fixture(params=list(OPERATORS))
def make(request):
    return OPERATORS[request.param]


def _batches(num: int = 17, size: int = 17, dtype: torch.dtype = torch.float64):
    x, y = toys.DoubleStream(size=num).at(0)
    return lambda: [(x[i : i + size].to(dtype), y[i : i + size]) for i in range(0, num, size)]


def _vector(like: torch.Tensor, seed: int = 0) -> torch.Tensor:
    return torch.randn(like.shape, generator=torch_generator("vector", seed), dtype=torch.float64).to(like.dtype)


def _state(network) -> State:
    return toys.double(toys.scrambled(network))


def _close(found: torch.Tensor, expected: torch.Tensor, rtol: float = 1e-11) -> None:
    torch.testing.assert_close(found, expected, rtol=rtol, atol=rtol * float(expected.abs().max()))


@pytest.mark.parametrize("size", [1, 5, 16])
def test_batches_count_by_their_size(network, make, size):
    """Seventeen examples in batches that leave a ragged end."""
    state, names, mask = _state(network), prunable(network), toys.random_mask(network)
    whole, gradient = make(network, state, _batches(), names, mask)
    ragged, same_gradient = make(network, state, _batches(size=size), names, mask)
    _close(same_gradient, gradient)
    _close(ragged(_vector(gradient)), whole(_vector(gradient)))


def test_the_gradient_is_that_of_the_mean_loss(network, make):
    state, names, mask = _state(network), prunable(network), toys.random_mask(network)
    gradient = make(network, state, _batches(size=5), names, mask)[1]
    leaves = {n: t.clone().requires_grad_() for n, t in state.params.items()}
    ((x, y),) = _batches()()
    F.cross_entropy(functional_call(network.eval(), {**leaves, **state.buffers}, (x,)), y).backward()
    expected = torch.cat([leaves[n].grad[torch.from_numpy(mask[n])] for n in names])
    assert len(gradient) == num_kept(mask)
    _close(gradient, expected)


def test_a_block_is_its_rows_bit_for_bit(network, make):
    matvec, gradient = make(network, _state(network), _batches(size=5), prunable(network), None)
    block = torch.stack([_vector(gradient, seed) for seed in range(3)])
    found = matvec(block)
    assert found.shape == block.shape
    for row, vector in zip(found, block, strict=True):
        assert torch.equal(row, matvec(vector))


def test_products_are_linear_and_symmetric(network, make):
    matvec, gradient = make(network, _state(network), _batches(size=5), prunable(network), toys.random_mask(network))
    first, second = _vector(gradient), _vector(gradient, 1)
    _close(matvec(2 * first - 3 * second), 2 * matvec(first) - 3 * matvec(second))
    assert float(first @ matvec(second)) == pytest.approx(float(second @ matvec(first)), rel=1e-11)


def test_gauss_newton_has_no_negative_direction(network):
    matvec, gradient = gauss_newton_product(network, _state(network), _batches(), prunable(network), None)
    for seed in range(20):
        assert float(_vector(gradient, seed) @ matvec(_vector(gradient, seed))) >= 0


def test_no_mask_keeps_all(network, make):
    state, names = _state(network), prunable(network)
    full: Mask = {n: torch.ones(state.params[n].shape, dtype=torch.bool).numpy() for n in names}
    (bare, gradient), (masked, _) = (make(network, state, _batches(), names, mask) for mask in (None, full))
    assert torch.equal(bare(_vector(gradient)), masked(_vector(gradient)))


def test_a_subset_of_names_is_a_block_of_the_whole(make):
    network = toys.dense_net()
    state, names = _state(network), prunable(network)
    whole, gradient = make(network, state, _batches(), names, None)
    last, own = make(network, state, _batches(), names[1:], None)
    num = len(own)
    vector = torch.zeros_like(gradient)
    vector[-num:] = _vector(own)
    _close(last(_vector(own)), whole(vector)[-num:])
    assert torch.equal(own, gradient[-num:])


def test_the_order_of_names_is_the_order_of_entries(make):
    network = toys.dense_net()
    names = prunable(network)
    (forth, _), (back, gradient) = (make(network, _state(network), _batches(), n, None) for n in (names, names[::-1]))
    num = network.get_parameter(names[0]).numel()
    vector = _vector(gradient)
    _close(back(vector.roll(-num)), forth(vector).roll(-num))


def test_batch_norm_uses_the_states_statistics_whatever_the_template_did_last(make):
    network = toys.norm_net()
    state, names = _state(network), prunable(network)
    matvec, gradient = make(network, state, _batches(size=5), names, None)
    expected = matvec(_vector(gradient))
    network.train()
    assert torch.equal(matvec(_vector(gradient)), expected)
    other = State(state.params, {n: 2 * t for n, t in state.buffers.items()})
    assert not torch.allclose(make(network, other, _batches(size=5), names, None)[1], gradient)


def test_train_mode_uses_the_batches_own_statistics(make):
    network = toys.norm_net()
    state, names = _state(network), prunable(network)
    doubled = State(state.params, {n: 2 * t for n, t in state.buffers.items()})
    (matvec, gradient), (same, _) = (make(network, s, _batches(size=5), names, None, "train") for s in (state, doubled))
    assert torch.equal(matvec(_vector(gradient)), same(_vector(gradient)))
    assert not torch.allclose(make(network, state, _batches(size=5), names, None)[1], gradient)


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_the_state_is_not_changed(network, make, mode):
    state, before = _state(network), _state(network)
    matvec, gradient = make(network, state, _batches(size=5), prunable(network), None, mode)
    matvec(_vector(gradient))
    assert toys.same_state(state, before)
    assert not any(t.requires_grad or t.grad is not None for t in state.params.values())
    assert all(p.grad is None for p in network.parameters())


def test_it_works_where_gradients_are_off(network, make):
    with torch.no_grad():
        matvec, gradient = make(network, _state(network), _batches(), prunable(network), None)
        found = matvec(_vector(gradient))
    assert found.abs().max() > 0
    assert not found.requires_grad
    assert not gradient.requires_grad


def test_float32_data_of_a_split(network, make):
    data, state, names = toys.dataset(num_train=11), toys.scrambled(network), prunable(network)
    matvec, gradient = make(network, state, lambda: chunks(data.train, data, Numerics()), names, None)
    x, y = next(chunks(data.train, data, Numerics()))
    exact, expected = make(network, toys.double(state), lambda: [(x.double(), y)], names, None)
    assert gradient.dtype == matvec(_vector(gradient)).dtype == torch.float32
    _close(gradient.double(), expected, 1e-5)
    _close(matvec(_vector(gradient)).double(), exact(_vector(gradient).double()), 1e-5)


def test_memory_layout_changes_nothing(make):
    network = toys.norm_net()
    state, names, numerics = _state(network), prunable(network), Numerics(channels_last=True)
    laid = State(numerics.lay_all(state.params), state.buffers)
    plain, gradient = make(network, state, _batches(), names, None)
    last, other = make(network, laid, lambda: [(numerics.lay(x), y) for x, y in _batches()()], names, None)
    _close(other, gradient)
    _close(last(_vector(gradient)), plain(_vector(gradient)))


def _refused(match: str, names=None, mask=None, batches=None, mode="eval") -> None:
    network = toys.dense_net()
    with pytest.raises(ValueError, match=match):
        hessian_product(
            network, _state(network), batches or _batches(), prunable(network) if names is None else names, mask, mode
        )


def test_an_unknown_mode_is_refused():
    _refused("mode must be eval or train, got 'test'; choose what BatchNorm normalises with", mode="test")


def test_an_unknown_name_is_refused():
    _refused("names must be in the state, got 'fc9'; choose from \\['body.fc2.bias'", names=["fc9"])
    mask = toys.random_mask(toys.dense_net())
    _refused("names must be in the mask, got 'body.fc2.bias'; choose from", names=["body.fc2.bias"], mask=mask)


def test_no_names_are_refused():
    _refused("names must have at least one tensor, got none; name the prunable ones", names=[])


def test_a_mask_of_another_shape_is_refused():
    mask = {n: keep.T for n, keep in toys.random_mask(toys.dense_net()).items()}
    _refused(r"mask of 'stem.fc1.weight' must have shape \(4, 16\), got \(16, 4\); use this network's mask", mask=mask)


def test_a_mask_that_keeps_nothing_is_refused():
    mask = {n: keep & False for n, keep in toys.random_mask(toys.dense_net()).items()}
    _refused("mask must keep weights of the named tensors, got none of 76; curvature needs some", mask=mask)


def test_no_examples_are_refused():
    _refused("batches must yield examples, got none; the loss is their mean", batches=lambda: [])


def test_batches_that_run_dry_are_refused():
    once = iter(_batches(size=5)())
    network = toys.dense_net()
    matvec, gradient = hessian_product(network, _state(network), lambda: once, prunable(network), None)
    with pytest.raises(
        ValueError, match="batches must yield the same 17 examples at every call, got 0; let each call start anew"
    ):
        matvec(gradient)
