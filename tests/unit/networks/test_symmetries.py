"""Permutations of units leave every network that declares them the function that it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.func import functional_call

from pipeline_lib.core import permutations, registry
from pipeline_lib.core.rng import numpy_generator, torch_generator

SMALL = {
    "mlp": ((1, 4, 4), {"widths": [5, 4, 3]}),
    "resnet_cifar": ((1, 8, 8), {"blocks": 2, "width": 3}),
    "resnet_strided": ((1, 16, 16), {"width": 3}),
    "vgg": ((2, 16, 16), {"depth": 13}),
    "wide_resnet": ((2, 8, 8), {"depth": 16, "widen": 1}),
    "resnet18": ((3, 32, 32), {"stem": "cifar"}),
    "resnet50": ((3, 32, 32), {}),
}
NARROW = {"mlp": {"widths": [5]}, "wide_resnet": {"depth": 10, "widen": 2}, "resnet_cifar": {"blocks": 1, "width": 2}}
CASES = [(name, *case) for name, case in SMALL.items()] + [(name, SMALL[name][0], more) for name, more in NARROW.items()]


def _random(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    generator, found = torch_generator("symmetry"), {}
    for name, tensor in network.state_dict().items():
        drawn = torch.rand(tensor.shape, generator=generator, dtype=torch.float64)
        scale = max(1, tensor[0].numel()) ** -0.5 if tensor.dim() > 1 else 1.0
        found[name] = drawn + 0.5 if name.endswith("running_var") else (drawn - 0.5) * 4 * scale
    return {name: each for name, each in found.items() if not name.endswith("num_batches_tracked")}


def test_every_declared_network_is_tried_here():
    assert set(SMALL) == set(registry.entries("symmetries")) < set(registry.entries("networks"))


@pytest.mark.parametrize(("name", "shape", "options"), CASES)
def test_a_permuted_network_computes_the_same_and_nothing_of_it_was_left_out(name, shape, options):
    said = {"name": name, **options}
    network, axes = (registry.call(kind, said, input_shape=shape, num_classes=3) for kind in ("networks", "symmetries"))
    network.double().eval()
    tensors = _random(network)
    num = permutations.sizes(axes, tensors)
    moves = permutations.drawn(num, numpy_generator("symmetry"))
    assert all(not np.array_equal(each, np.arange(len(each))) for each in moves.values() if len(each) > 3)
    there = permutations.permuted(tensors, axes, moves)
    x = torch.randn((2, *shape), generator=torch_generator("x"), dtype=torch.float64)
    with torch.no_grad():
        before, after = (functional_call(network, each, (x.clone(),)) for each in (tensors, there))
    torch.testing.assert_close(after, before, rtol=1e-9, atol=1e-9)
    assert before.std() > 0
    # Two axes a weight, one a vector: all but what sees pixels and gives classes.
    free = [(t, i) for t, groups in axes.items() for i, group in enumerate(groups[:2]) if group is None]
    assert len(free) == 3, "the first layer's inputs, and the last one's outputs and biases"
    assert set(axes) == set(tensors)
    assert set(permutations.places(network, axes).values()) == set(num)


def test_a_network_without_symmetries_cannot_be_aligned():
    with pytest.raises(ValueError, match=r"network.name must be one of .*resnet_cifar.*, got 'vit'"):
        registry.lookup("symmetries", "vit", "network.name")


@pytest.mark.parametrize(
    ("axes", "text"),
    [
        ({"a": ("u", "u")}, "groups of 'a' must be one an axis of its shape \\(2, 3\\), and all different"),
        ({"a": ("u",)}, "groups of 'a' must be one an axis"),
        ({"b": ("u",)}, "groups of 'b' must be one an axis of its shape \\(\\)"),
        ({"a": ("u", None), "c": ("u",)}, "units of group 'u' must be as many in 'c' as elsewhere, 2, got 3"),
    ],
)
def test_axes_that_do_not_fit_are_refused(axes, text):
    with pytest.raises(ValueError, match=text):
        permutations.sizes(axes, {"a": torch.zeros(2, 3), "c": torch.zeros(3)})


def test_every_layer_of_a_stream_that_is_not_normalised_shows_its_units():
    """Of a residual perceptron: its blocks all lead back to the units of the stem."""
    names = ("stem", "body.a1", "body.b1", "body.a2", "body.b2")
    network = torch.nn.Module()
    network.stem, network.body = torch.nn.Linear(4, 3), torch.nn.Module()
    for name in names[1:]:
        setattr(network.body, name.split(".")[1], torch.nn.Linear(3, 3))
    groups = dict(zip(names, ("u", "r1", "u", "r2", "u"), strict=True))
    axes = {f"{name}.weight": (group, None) for name, group in groups.items()}
    assert permutations.places(network, axes) == groups
