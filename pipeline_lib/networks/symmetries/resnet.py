"""Symmetries of CIFAR-style residual networks."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline_lib.core.values import Blocks, Count
from pipeline_lib.networks.symmetries._layers import Axes, convolution, linear, norm


def _block(name: str, outputs: str, inputs: str) -> Axes:
    own, inner = f"body.{name}", f"{name}.conv1"
    found = convolution(f"{own}.conv1", inner, inputs) | norm(f"{own}.bn1", inner)
    found |= convolution(f"{own}.conv2", outputs, inner) | norm(f"{own}.bn2", outputs)
    if outputs != inputs:
        found |= convolution(f"{own}.shortcut.conv", outputs, inputs) | norm(f"{own}.shortcut.bn", outputs)
    return found


def resnet_cifar(input_shape: Sequence[int], num_classes: int, blocks: Blocks = 3, width: Count = 16) -> Axes:
    """Permute the channels of each stage, which all its blocks add to, and those between the two convolutions of each block."""
    found = convolution("stem", "stage1", None) | norm("body.bn", "stage1")
    for stage in range(1, 4):
        for block in range(1, blocks + 1):
            inputs = f"stage{stage - 1}" if stage > 1 and block == 1 else f"stage{stage}"
            found |= _block(f"stage{stage}_block{block}", f"stage{stage}", inputs)
    return found | linear("body.fc", None, "stage3")


def resnet_strided(
    input_shape: Sequence[int], num_classes: int, blocks: Blocks = 1, width: Count = 16, stride: Count = 2
) -> Axes:
    """Permute what `resnet_cifar` permutes: the stem's stride moves no channel."""
    return resnet_cifar(input_shape, num_classes, blocks, width)
