from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline_lib.training import optimiser_state
from pipeline_lib.training.optimisers.adam import adam
from pipeline_lib.training.optimisers.sgd import decoupled_sgd, sgd

CPU = torch.device("cpu")
MAKERS = {
    "sgd": (lambda v: sgd(v, 0.1, momentum=0.9, weight_decay=0.01), {"momentum_buffer"}),
    "nesterov": (lambda v: sgd(v, 0.1, momentum=0.9, nesterov=True), {"momentum_buffer"}),
    "decoupled_sgd": (lambda v: decoupled_sgd(v, 0.1, momentum=0.9, weight_decay=0.01), {"momentum_buffer"}),
    "adam": (lambda v: adam(v, 0.01), {"step", "exp_avg", "exp_avg_sq"}),
}
FACTORS = [0.0, 0.5, 1.0, 1.0, 0.1, 0.3, 0.0, 1.0]


def _gradient(vector: torch.Tensor) -> torch.Tensor:
    return torch.sin(vector.detach() * 7)


def _step(optimiser: torch.optim.Optimizer, vector: torch.Tensor) -> None:
    vector.grad = _gradient(vector)
    optimiser.step()


def _start() -> torch.Tensor:
    return torch.linspace(-1, 1, 9, dtype=torch.float64).requires_grad_()


def _run(make: Callable[[torch.Tensor], torch.optim.Optimizer], factors: list[float]) -> torch.Tensor:
    """Take one step a factor of the peak rate."""
    vector = _start()
    optimiser = make(vector)
    set_rate = optimiser_state.rate_setter(optimiser, CPU)
    for factor in factors:
        set_rate(factor)
        _step(optimiser, vector)
    return vector.detach()


@pytest.mark.parametrize("name", MAKERS)
def test_a_fresh_optimiser_has_no_slots(name):
    vector = _start()
    assert optimiser_state.get_slots(MAKERS[name][0](vector)) == {}


@pytest.mark.parametrize("name", MAKERS)
def test_slots_put_into_a_new_optimiser_continue_the_old_one(name):
    make, names = MAKERS[name]
    vector = _start()
    optimiser = make(vector)
    _step(optimiser, vector)
    slots = optimiser_state.get_slots(optimiser)
    assert set(slots) == names
    copy = vector.detach().clone().requires_grad_()
    other = make(copy)
    optimiser_state.set_slots(other, slots)
    for _ in range(3):
        _step(optimiser, vector)
        _step(other, copy)
    assert torch.equal(vector, copy)


@pytest.mark.parametrize("name", MAKERS)
def test_slots_are_copies_both_ways(name):
    make, _ = MAKERS[name]
    vector = _start()
    optimiser = make(vector)
    _step(optimiser, vector)
    slots = optimiser_state.get_slots(optimiser)
    before = {n: t.clone() for n, t in slots.items()}
    other = make(vector)
    optimiser_state.set_slots(other, slots)
    _step(optimiser, vector)
    _step(other, vector)
    assert all(torch.equal(slots[n], before[n]) for n in slots)


@pytest.mark.parametrize("make", [lambda v: sgd(v, 0.1), lambda v: decoupled_sgd(v, 0.1, weight_decay=0.1)])
def test_without_momentum_there_is_nothing_to_keep(make):
    vector = _start()
    optimiser = make(vector)
    _step(optimiser, vector)
    assert optimiser_state.get_slots(optimiser) == {}


def test_adams_options_are_torchs():
    group = adam(_start(), 0.01, beta1=0.8, beta2=0.99, eps=1e-4).param_groups[0]
    assert (group["lr"], group["betas"], group["eps"], group["weight_decay"]) == (0.01, (0.8, 0.99), 1e-4, 0)
    assert group["fused"], "one kernel over all weights"


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgds_options_are_torchs(nesterov):
    group = sgd(_start(), 0.1, momentum=0.9, weight_decay=0.01, nesterov=nesterov).param_groups[0]
    assert [group[n] for n in ("lr", "momentum", "weight_decay", "dampening", "nesterov")] == [0.1, 0.9, 0.01, 0, nesterov]
    assert group["fused"], "one kernel over all weights"


@pytest.mark.parametrize("name", MAKERS)
def test_the_rate_is_a_factor_of_the_peak_and_not_of_the_last_rate(name):
    optimiser = MAKERS[name][0](_start())
    peak, set_rate = optimiser.param_groups[0]["lr"], optimiser_state.rate_setter(optimiser, CPU)
    for factor in FACTORS:
        set_rate(factor)
        assert optimiser.param_groups[0]["lr"] == peak * factor


@pytest.mark.parametrize("name", MAKERS)
def test_a_rate_of_zero_changes_no_weight(name):
    assert torch.equal(_run(MAKERS[name][0], [0.0, 0.0]), _start().detach())


def _torchs(lr: float, factors: list[float], **options: object) -> torch.Tensor:
    """Steps of torch's plain, unfused SGD."""
    vector = _start()
    optimiser = torch.optim.SGD([vector], lr=lr, foreach=False, fused=False, **options)
    for factor in factors:
        optimiser.param_groups[0]["lr"] = lr * factor
        _step(optimiser, vector)
    return vector.detach()


@pytest.mark.parametrize("options", [{"momentum": 0.9}, {"momentum": 0.875, "weight_decay": 0.01}])
@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_is_torchs(options, nesterov):
    found = _run(lambda v: sgd(v, 0.05, **options, nesterov=nesterov), FACTORS)
    expected = _torchs(0.05, FACTORS, **options, nesterov=nesterov)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-13)


def test_nesterov_changes_the_updates():
    plain, ahead = (_torchs(0.05, FACTORS, momentum=0.9, nesterov=nesterov) for nesterov in (False, True))
    assert (plain - ahead).abs().max() > 0.01


def _decoupled_by_hand(lr: float, momentum: float, decay: float, factors: list[float]) -> list[float]:
    """Loshchilov & Hutter, algorithm 1, one weight at a time in Python's own float64."""
    weights = _start().detach().tolist()
    for i, weight in enumerate(weights):
        w, buffer = weight, 0.0
        for factor in factors:
            buffer = momentum * buffer + float(_gradient(torch.tensor(w, dtype=torch.float64)))
            w = (1 - decay * factor) * w - lr * factor * buffer
        weights[i] = w
    return weights


@given(
    lr=st.floats(0.001, 0.2),
    momentum=st.sampled_from([0.0, 0.5, 0.875]),
    decay=st.floats(0, 0.1),
    factors=st.lists(st.floats(0, 1), min_size=1, max_size=6),
)
def test_decoupled_sgd_is_the_hand_written_loop(lr, momentum, decay, factors):
    found = _run(lambda v: decoupled_sgd(v, lr, momentum, decay), factors)
    expected = torch.tensor(_decoupled_by_hand(lr, momentum, decay, factors), dtype=torch.float64)
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-12)


@given(lr=st.floats(0.001, 0.2), coupled=st.floats(0, 0.5), factors=st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_without_momentum_decoupled_decay_is_torchs_times_the_peak_rate(lr, coupled, factors):
    found = _run(lambda v: decoupled_sgd(v, lr, weight_decay=coupled * lr), factors)
    torch.testing.assert_close(found, _torchs(lr, factors, weight_decay=coupled), rtol=1e-11, atol=1e-12)


def test_with_momentum_decoupled_decay_does_not_enter_the_buffer():
    vector = _start()
    optimiser = decoupled_sgd(vector, 0.1, momentum=0.9, weight_decay=0.5)
    expected = _gradient(vector)
    _step(optimiser, vector)
    assert torch.equal(optimiser_state.get_slots(optimiser)["momentum_buffer"], expected)


def test_without_decay_decoupled_sgd_is_sgd():
    ours, plain = (_run(lambda v, make=make: make(v, 0.05, 0.9), FACTORS) for make in (decoupled_sgd, sgd))
    assert torch.equal(ours, plain)


@pytest.mark.parametrize("name", MAKERS)
def test_a_weight_that_is_zero_and_has_no_gradient_stays_exactly_zero(name):
    vector = torch.zeros(4, dtype=torch.float64).requires_grad_()
    optimiser = MAKERS[name][0](vector)
    for _ in range(3):
        vector.grad = torch.zeros(4, dtype=torch.float64)
        optimiser.step()
    assert torch.equal(vector.detach(), torch.zeros(4, dtype=torch.float64))
