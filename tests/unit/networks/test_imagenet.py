"""The networks against torchvision's own models; cannot catch an error of torchvision's."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.func import functional_call

from pipeline_lib.core.rng import torch_generator
from pipeline_lib.core.torchvision_import import torchvision_models
from pipeline_lib.core.types import State
from pipeline_lib.networks.imagenet import inception_v3, resnet18, resnet50
from pipeline_lib.training.initialisers.kaiming import kaiming_normal

CLASSES = 7


def _count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


@pytest.mark.parametrize(
    ("make", "shape", "num_classes", "options", "count"),
    [
        (resnet18, (3, 32, 32), 10, {}, 11_181_642),
        (resnet18, (3, 32, 32), 10, {"stem": "imagenet"}, 11_181_642),
        (resnet18, (3, 32, 32), 10, {"stem": "cifar"}, 11_173_962),
        (resnet18, (3, 32, 32), 100, {"stem": "cifar"}, 11_220_132),
        (resnet50, (3, 224, 224), 1000, {}, 25_557_032),
        (inception_v3, (3, 299, 299), 1000, {}, 27_161_264),
    ],
)
def test_parameter_counts(make, shape, num_classes, options, count):
    with torch.device("meta"):
        assert _count(make(shape, num_classes, **options)) == count


def _scrambled(network: nn.Module) -> State:
    """Random parameters and statistics that let the input through to the output."""
    state, generator = kaiming_normal(network, torch_generator("imagenet"), "one"), torch_generator("statistics")
    buffers = {n: torch.zeros(t.shape, dtype=t.dtype) for n, t in state.buffers.items()}
    for name, tensor in buffers.items():
        if tensor.is_floating_point():
            tensor.uniform_(*((-0.2, 0.2) if name.endswith("mean") else (0.5, 1.5)), generator=generator)
    return State(state.params, buffers)


def _tensors(state: State) -> dict[str, torch.Tensor]:
    return {n: t.clone() for n, t in {**state.params, **state.buffers}.items()}


def _x(size: int, num: int = 2) -> torch.Tensor:
    return torch.randn((num, 3, size, size), generator=torch_generator("x", size))


def _check(ours: nn.Module, theirs: nn.Module, state: State, rename, x: torch.Tensor, training: bool) -> None:
    theirs.load_state_dict({rename(name): t for name, t in _tensors(state).items()}, assign=True)
    with torch.no_grad():
        expected = theirs.train(training)(x.clone())
        found = functional_call(ours.train(training), _tensors(state), (x.clone(),))
    found, expected = (output if isinstance(output, tuple) else (output,) for output in (found, expected))
    assert len(found) == len(expected)
    for mine, other in zip(found, expected, strict=True):
        assert mine.std(dim=0).min() > 1e-3
        assert torch.equal(mine, other)


def _resnet_name(name: str) -> str:
    return name.replace("stem.", "conv1.").removeprefix("body.")


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    ("name", "ours", "stem"),
    [("resnet18", resnet18, "imagenet"), ("resnet18", resnet18, "cifar"), ("resnet50", resnet50, "imagenet")],
)
def test_a_resnet_computes_what_torchvisions_does(name, ours, stem, training):
    with torch.device("meta"):
        network, whole = ours((3, 32, 32), CLASSES, stem), getattr(torchvision_models(), name)(num_classes=CLASSES)
    if stem == "cifar":
        whole.conv1, whole.maxpool = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.Identity()
    _check(network, whole, _scrambled(network), _resnet_name, _x(32), training)


def test_the_default_stem_is_imagenets():
    assert resnet18((3, 32, 32), 10)[0].kernel_size == (7, 7)
    assert resnet18((3, 32, 32), 10, "cifar")[0].kernel_size == (3, 3)


def _inception_name(name: str) -> str:
    name = name.replace("stem.", "Conv2d_1a_3x3.conv.").replace("body.trunk.bn.", "Conv2d_1a_3x3.bn.")
    for part, its in (("body.auxiliary.", "AuxLogits."), ("body.trunk.", ""), ("body.tail.", "")):
        name = name.replace(part, its)
    return name


@pytest.fixture(scope="module")
def inception():
    with torch.device("meta"):
        network = inception_v3((3, 299, 299), CLASSES)
    return network, _scrambled(network)


# Training needs 299 pixels: the auxiliary head has a 5x5 kernel on what is left of the image.
@pytest.mark.parametrize(("size", "training"), [(299, False), (299, True)])
def test_inception_computes_what_torchvisions_does_without_dropout(inception, size, training):
    network, state = inception
    with torch.device("meta"):
        whole = torchvision_models().inception_v3(num_classes=CLASSES, init_weights=False, transform_input=False, dropout=0.0)
    _check(network, whole, state, _inception_name, _x(size), training)


def test_inception_has_a_second_output_in_training_alone():
    with torch.device("meta"):
        network, x = inception_v3((3, 299, 299), CLASSES), torch.empty(2, 3, 299, 299)
    logits, auxiliary = network.train()(x)
    assert logits.shape == auxiliary.shape == (2, CLASSES)
    assert network.eval()(x).shape == (2, CLASSES)


def test_training_inception_draws_nothing_at_random():
    with torch.device("meta"):
        assert not [m for m in inception_v3((3, 299, 299), CLASSES).modules() if isinstance(m, nn.Dropout)]


@pytest.mark.parametrize("make", [resnet18, resnet50, inception_v3])
def test_images_of_other_than_three_channels_are_refused(make):
    with pytest.raises(ValueError) as caught:
        make((1, 299, 299), CLASSES)
    assert str(caught.value) == "input_shape must have 3 channels, got 1; this network takes colour images"


@pytest.mark.parametrize("shape", [(3, 74, 299), (3, 299, 74)])
def test_inception_refuses_small_images(shape):
    with pytest.raises(ValueError) as caught:
        inception_v3(shape, CLASSES)
    assert str(caught.value) == f"input_shape must be 299 pixels or more a side, got {shape[1:]}; use larger images"
