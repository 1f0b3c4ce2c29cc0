"""What every registered network promises, on its smallest input."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.func import functional_call

from pipeline_lib.core import algebra, registry
from pipeline_lib.core.parameters import prunable
from pipeline_lib.core.rng import torch_generator
from pipeline_lib.training.initialisers.kaiming import kaiming_normal
from pipeline_lib.training.initialisers.modules import own_reset

CLASSES = 3
SMALL = {
    "mlp": ((1, 4, 4), {"widths": [5]}),
    "resnet_cifar": ((1, 8, 8), {"blocks": 1, "width": 2}),
    "resnet_strided": ((1, 16, 16), {"width": 2}),
    "vgg": ((2, 16, 16), {"depth": 13}),
    "wide_resnet": ((2, 8, 8), {"depth": 10, "widen": 1}),
    "resnet18": ((3, 32, 32), {"stem": "cifar"}),
    "resnet50": ((3, 32, 32), {}),
    "inception_v3": ((3, 299, 299), {}),
    "vit": ((2, 8, 8), {"patch": 4, "width": 4, "heads": 2, "depth": 1}),
    "character_transformer": ((1, 1, 6), {"width": 4, "heads": 2, "depth": 1}),
}
OWN = ("vit", "character_transformer")  # whose layers draw themselves


def _meta(name: str) -> nn.Sequential:
    """The network without its memory."""
    shape, options = SMALL[name]
    with torch.device("meta"):
        return registry.call("networks", {"name": name, **options}, input_shape=shape, num_classes=CLASSES)


def _random(stem: nn.Module, seed: int) -> dict[str, torch.Tensor]:
    generator = torch_generator("stem", seed)
    return {n: torch.randn(p.shape, generator=generator, dtype=torch.float64) for n, p in stem.named_parameters()}


def test_every_network_is_tried_here():
    assert set(SMALL) == set(registry.entries("networks"))


@pytest.mark.parametrize("name", SMALL)
def test_a_network_is_a_stem_and_a_body(name):
    network = _meta(name)
    assert type(network) is nn.Sequential
    assert [child for child, _ in network.named_children()] == ["stem", "body"]


@pytest.mark.parametrize("name", SMALL)
def test_the_stem_is_affine_in_its_parameters(name):
    stem, x = _meta(name)[0], torch.randn((2, *SMALL[name][0]), generator=torch_generator("x"), dtype=torch.float64)
    first, second = (_random(stem, seed) for seed in (0, 1))
    ends = [functional_call(stem, params, (x,)) for params in (first, second)]
    for weight in (-0.5, 0.3, 1.7):
        mixed = functional_call(stem, algebra.lerp(first, second, weight), (x,))
        torch.testing.assert_close(mixed, torch.lerp(ends[0], ends[1], weight), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", SMALL)
def test_evaluation_gives_one_logit_a_class(name):
    x = torch.empty((2, *SMALL[name][0]), device="meta")
    assert _meta(name).eval()(x).shape == (2, CLASSES)


@pytest.mark.parametrize("name", SMALL)
def test_the_body_does_not_change_the_stems_output(name):
    network = _meta(name).eval().to_empty(device="cpu")
    for tensor in network.state_dict().values():
        tensor.fill_(1)
    with torch.no_grad():
        hidden = network[0](torch.randn((4, *SMALL[name][0]), generator=torch_generator("x")))
        before = hidden.clone()
        network[1](hidden)
    assert before.min() < 0 < before.max()
    assert torch.equal(hidden, before)


@pytest.mark.parametrize("name", SMALL)
def test_every_parameter_can_be_drawn(name):
    network = _meta(name)
    state = (own_reset if name in OWN else kaiming_normal)(network, torch_generator("all"))
    assert [(n, t.shape) for n, t in state.params.items()] == [(n, p.shape) for n, p in network.named_parameters()]
    assert all(p.requires_grad for p in network.parameters())


@pytest.mark.parametrize("name", SMALL)
def test_every_prunable_weight_is_a_parameter_of_two_or_more_axes(name):
    network = _meta(name)
    params = dict(network.named_parameters())
    assert len(prunable(network)) == len(set(prunable(network))) > 0
    assert all(params[weight].dim() in (2, 4) for weight in prunable(network))
