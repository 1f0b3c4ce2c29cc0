"""Training against torch.optim and torch's schedulers; cannot catch an error that torch's own optimisers share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
import toys
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from pipeline_lib.core.types import State
from pipeline_lib.training.optimisers.adam import adam
from pipeline_lib.training.optimisers.sgd import sgd
from pipeline_lib.training.schedules.steps import step_drops

DROPS, STEPS, LR = [2, 4], 6, 0.05
SETTINGS: dict[str, tuple[Callable[..., torch.optim.Optimizer], Callable[..., torch.optim.Optimizer]]] = {
    "plain sgd": (lambda v: sgd(v, LR), lambda ps: torch.optim.SGD(ps, LR, foreach=False, fused=False)),
    "sgd": (
        lambda v: sgd(v, LR, 0.9, 0.01),
        lambda ps: torch.optim.SGD(ps, LR, 0.9, weight_decay=0.01, foreach=False, fused=False),
    ),
    "adam": (
        lambda v: adam(v, LR, 0.8, 0.99, 1e-6),
        lambda ps: torch.optim.Adam(ps, LR, (0.8, 0.99), 1e-6, foreach=False, fused=False),
    ),
}


def _plainly(network: nn.Module, begin: State, make: Callable[..., torch.optim.Optimizer]) -> dict[str, torch.Tensor]:
    network.double().load_state_dict({**begin.params, **begin.buffers})
    network.train()
    optimiser, stream = make(network.parameters()), toys.DoubleStream()
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimiser, DROPS)
    for step in range(STEPS):
        x, y = stream.at(step)
        optimiser.zero_grad()
        F.cross_entropy(network(x), y).backward()
        optimiser.step()
        scheduler.step()
    return {name: tensor.detach() for name, tensor in network.state_dict().items()}


@pytest.mark.parametrize("network", toys.NETWORKS)
@pytest.mark.parametrize("setting", SETTINGS)
def test_training_is_the_textbook_loop(network, setting):
    ours, theirs = SETTINGS[setting]
    net = toys.NETWORKS[network]()
    begin = toys.double(toys.start(net))
    end = toys.train_one(net, begin, None, toys.DoubleStream(), ours, step_drops(DROPS), STEPS)
    found, expected = {**end.params, **end.buffers}, _plainly(net, begin, theirs)
    assert set(found) == set(expected)
    for name, tensor in expected.items():
        # Fused kernels contract a * b + c to one rounding, so the last bits may differ.
        torch.testing.assert_close(found[name], tensor, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("setting", SETTINGS)
def test_one_step_from_given_gradients(setting):
    ours, theirs = SETTINGS[setting]
    pieces = [torch.linspace(-1, 2, 6, dtype=torch.float64).view(2, 3), torch.tensor([0.5, -0.25], dtype=torch.float64)]
    vector = torch.cat([p.reshape(-1) for p in pieces]).requires_grad_()
    leaves = [p.clone().requires_grad_() for p in pieces]
    vector.grad = torch.cos(vector.detach())
    for leaf in leaves:
        leaf.grad = torch.cos(leaf.detach())
    ours(vector).step()
    theirs(leaves).step()
    torch.testing.assert_close(vector.detach(), torch.cat([p.detach().reshape(-1) for p in leaves]), rtol=1e-14, atol=1e-15)


@given(st.lists(st.integers(1, 30), unique=True, max_size=4), st.sampled_from([2.0, 5.0, 10.0]))
def test_step_drops_is_multi_step_lr(drops, factor):
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimiser, sorted(drops), gamma=1 / factor)
    schedule = step_drops(sorted(drops), factor)
    for step in range(32):
        assert schedule(step) == pytest.approx(optimiser.param_groups[0]["lr"], rel=1e-12)
        optimiser.step()
        scheduler.step()
