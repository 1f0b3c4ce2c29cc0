from __future__ import annotations

import pytest
import torch

from pipeline_lib import optim

MAKERS = {
    "sgd": (lambda v: optim.sgd(v, 0.1, momentum=0.9, weight_decay=0.01), {"momentum_buffer"}),
    "adam": (lambda v: optim.adam(v, 0.01), {"step", "exp_avg", "exp_avg_sq"}),
}


def _step(optimiser: torch.optim.Optimizer, vector: torch.Tensor) -> None:
    vector.grad = torch.sin(vector.detach() * 7)
    optimiser.step()


def _start() -> torch.Tensor:
    return torch.linspace(-1, 1, 9, dtype=torch.float64).requires_grad_()


@pytest.mark.parametrize("name", MAKERS)
def test_a_fresh_optimiser_has_no_slots(name):
    vector = _start()
    assert optim.get_slots(MAKERS[name][0](vector), vector) == {}


@pytest.mark.parametrize("name", MAKERS)
def test_slots_put_into_a_new_optimiser_continue_the_old_one(name):
    make, names = MAKERS[name]
    vector = _start()
    optimiser = make(vector)
    _step(optimiser, vector)
    slots = optim.get_slots(optimiser, vector)
    assert set(slots) == names
    copy = vector.detach().clone().requires_grad_()
    other = make(copy)
    optim.set_slots(other, copy, slots)
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
    slots = optim.get_slots(optimiser, vector)
    before = {n: t.clone() for n, t in slots.items()}
    other = make(vector)
    optim.set_slots(other, vector, slots)
    _step(optimiser, vector)
    _step(other, vector)
    assert all(torch.equal(slots[n], before[n]) for n in slots)


def test_adams_options_are_torchs():
    group = optim.adam(_start(), 0.01, beta1=0.8, beta2=0.99, eps=1e-4).param_groups[0]
    assert (group["lr"], group["betas"], group["eps"], group["weight_decay"]) == (0.01, (0.8, 0.99), 1e-4, 0)


def test_sgds_options_are_torchs():
    group = optim.sgd(_start(), 0.1, momentum=0.9, weight_decay=0.01).param_groups[0]
    assert [group[n] for n in ("lr", "momentum", "weight_decay", "dampening", "nesterov")] == [0.1, 0.9, 0.01, 0, False]
