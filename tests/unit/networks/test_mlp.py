from __future__ import annotations

import pytest
import torch
import toys
from hypothesis import given
from hypothesis import strategies as st
from torch.func import functional_call

from pipeline_lib.core import algebra, registry
from pipeline_lib.networks.mlp import mlp


@pytest.mark.parametrize(("widths", "count"), [((300, 100), 266_610), ((5,), 784 * 5 + 5 + 50 + 10)])
def test_parameter_counts(widths, count):
    assert sum(p.numel() for p in mlp((1, 28, 28), 10, widths).parameters()) == count


def test_the_default_is_lenet_300_100():
    assert [p.shape[0] for p in mlp((1, 28, 28), 10).parameters()] == [300, 300, 100, 100, 10, 10]


@given(st.floats(-1, 2))
def test_the_stem_is_affine_in_its_parameters(weight):
    stem = toys.dense_net()[0].double()
    x = toys.DoubleStream().at(0)[0]
    first, second = (_random(stem, seed) for seed in (0, 1))
    mixed = functional_call(stem, algebra.lerp(first, second, weight), (x,))
    ends = [functional_call(stem, params, (x,)) for params in (first, second)]
    torch.testing.assert_close(mixed, torch.lerp(ends[0], ends[1], weight), rtol=0, atol=1e-12)


def _random(stem, seed):
    generator = torch.Generator().manual_seed(seed)
    return {n: torch.randn(p.shape, generator=generator, dtype=p.dtype) for n, p in stem.named_parameters()}


def test_forward_is_the_body_after_the_stem():
    network, x = toys.dense_net(), torch.rand(3, *toys.SHAPE)
    assert [name for name, _ in network.named_children()] == ["stem", "body"]
    assert torch.equal(network(x), network[1](network[0](x)))
    assert network(x).shape == (3, toys.CLASSES)


def test_the_layers_alternate_with_relus():
    kinds = [type(m).__name__ for m in mlp((1, 2, 2), 3, (4, 5)).modules() if not list(m.children())]
    assert kinds == ["Flatten", "Linear", "ReLU", "Linear", "ReLU", "Linear"]


def test_forward_is_the_formula():
    network = mlp((1, 2, 3), 4, (7, 5)).double()
    x = torch.randn((3, 1, 2, 3), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    w1, b1, w2, b2, w3, b3 = network.parameters()
    hidden = (x.reshape(3, 6) @ w1.T + b1).clamp(min=0)
    expected = (hidden @ w2.T + b2).clamp(min=0) @ w3.T + b3
    torch.testing.assert_close(network(x), expected, rtol=0, atol=1e-13)


def test_a_perceptron_without_hidden_units_is_refused_before_it_is_trained():
    """It has no body, which lines between networks and alignment look at."""
    with pytest.raises(ValueError, match=r"widths of network mlp must be a list of at least 1.*got \[\]"):
        registry.bind("networks", {"name": "mlp", "widths": []}, ["input_shape", "num_classes"], "network")
