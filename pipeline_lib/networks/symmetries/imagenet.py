"""Symmetries of residual networks made for ImageNet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pipeline_lib.networks.symmetries._layers import Axes, convolution, linear, norm


def _block(name: str, outputs: str, inputs: str, num: int, changes: bool) -> Axes:
    """Say it of a block of `num` convolutions, with one beside them where it changes the number of channels."""
    own, found, before = f"body.{name}", Axes(), inputs
    for i in range(1, num + 1):
        after = outputs if i == num else f"{name}.conv{i}"
        found |= convolution(f"{own}.conv{i}", after, before) | norm(f"{own}.bn{i}", after)
        before = after
    if changes:
        found |= convolution(f"{own}.downsample.0", outputs, inputs) | norm(f"{own}.downsample.1", outputs)
    return found


def _resnet(repeats: Sequence[int], num: int) -> Axes:
    before = "layer1" if num == 2 else "stem"  # blocks of two convolutions have no other number of channels in layer 1
    found = convolution("stem", before, None) | norm("body.bn1", before)
    for layer, blocks in enumerate(repeats, start=1):
        for i in range(blocks):
            found |= _block(f"layer{layer}.{i}", f"layer{layer}", before, num, before != f"layer{layer}")
            before = f"layer{layer}"
    return found | linear("body.fc", None, before)


def resnet18(input_shape: Sequence[int], num_classes: int, stem: Literal["imagenet", "cifar"] = "imagenet") -> Axes:
    """Permute the channels of each stage, which all its blocks add to, and those between the convolutions of each block."""
    return _resnet((2, 2, 2, 2), 2)


def resnet50(input_shape: Sequence[int], num_classes: int, stem: Literal["imagenet", "cifar"] = "imagenet") -> Axes:
    """Permute as `resnet18` does."""
    return _resnet((3, 4, 6, 3), 3)
