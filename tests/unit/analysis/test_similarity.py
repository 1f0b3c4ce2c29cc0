"""Linear CKA against its definition over features and another one over similarities, and blocks against a whole network."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from pipeline_lib.analysis.similarity import linear_cka, representations
from pipeline_lib.core.types import Dataset, Split, State
from pipeline_lib.networks.mlp import mlp
from pipeline_lib.networks.resnet import resnet_cifar
from pipeline_lib.training.precision import Numerics


def _hsic(x: np.ndarray, y: np.ndarray) -> float:
    """The Hilbert-Schmidt independence criterion of linear kernels, with centring matrices as Kornblith et al. write it."""
    n = len(x)
    centring = np.eye(n) - np.ones((n, n)) / n
    return float(np.trace(x @ x.T @ centring @ y @ y.T @ centring)) / (n - 1) ** 2


@pytest.mark.parametrize(("n", "p", "q"), [(5, 3, 3), (20, 7, 40), (200, 90, 4), (3, 1, 1)])
def test_it_is_the_normalised_criterion_of_the_paper(n, p, q):
    rng = np.random.default_rng(n)
    x = rng.normal(size=(n, p)) + 3
    y = np.tanh(x @ rng.normal(size=(p, q))) + rng.normal(size=(n, q)) / 2
    wanted = _hsic(x, y) / math.sqrt(_hsic(x, x) * _hsic(y, y))
    assert linear_cka(torch.tensor(x), torch.tensor(y)) == pytest.approx(wanted, rel=1e-9)
    assert linear_cka(torch.tensor(x).float(), torch.tensor(y).float()) == pytest.approx(wanted, rel=1e-5)


def test_by_hand():
    # One centred column each: (-1, 0, 1) and (1, -2, 1) are orthogonal; (-1, 0, 1) and (0, 0, 3) have cosine sqrt(3) / 2.
    first = torch.tensor([[0.0], [1.0], [2.0]])
    assert linear_cka(first, torch.tensor([[1.0], [-2.0], [1.0]])) == pytest.approx(0, abs=1e-12)
    assert linear_cka(first, torch.tensor([[0.0], [0.0], [3.0]])) == pytest.approx(0.75)


def test_a_rotation_a_scale_and_a_shift_change_nothing_and_a_constant_has_no_value():
    torch.manual_seed(0)
    x = torch.randn(30, 6, dtype=torch.double)
    turn = torch.linalg.qr(torch.randn(6, 6, dtype=torch.double)).Q
    assert linear_cka(x, 5 * x @ turn - 7) == pytest.approx(1)
    assert math.isnan(linear_cka(x, torch.ones(30, 2)))


@pytest.mark.parametrize("network", [mlp((1, 4, 4), 3, (6, 5)), resnet_cifar((1, 4, 4), 3, blocks=1, width=2)])
def test_representations_are_what_blocks_give_in_eval_mode(network):
    torch.manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-1, 1)
            module.running_var.uniform_(0.5, 2)
    images = torch.randint(0, 256, (40, 1, 4, 4), dtype=torch.uint8)
    split = Split(images, torch.zeros(40, dtype=torch.long))
    dataset = Dataset(split, split, 3, (0.4,), (0.2,))
    state = State(dict(network.named_parameters()), dict(network.named_buffers()), 0)
    found = representations(network, state, split, dataset, Numerics())
    seen: dict[str, torch.Tensor] = {}
    for name, module in network.named_modules():
        if name in found:
            module.register_forward_hook(lambda _module, _given, out, name=name: seen.update({name: out.flatten(1)}))
    network.eval()
    last = network((images / 255 - 0.4) / 0.2)
    assert list(found) == list(seen)
    for name, wanted in seen.items():
        torch.testing.assert_close(found[name], wanted.detach(), rtol=1e-5, atol=1e-5)
    assert found[list(found)[-1]].shape == last.shape
