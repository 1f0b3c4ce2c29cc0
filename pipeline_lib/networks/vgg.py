"""VGG networks for small images."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Literal

from torch import nn

from pipeline_lib.core.parameters import SPARED

_REPEATS = {13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3)}
_WIDTHS = (64, 128, 256, 512, 512)


def vgg(input_shape: Sequence[int], num_classes: int, depth: Literal[13, 16] = 16, prune_head: bool = False) -> nn.Sequential:
    """Build convolutions with BatchNorm, four poolings, and one linear layer.

    Args:
        input_shape: (C, H, W) of one example; H and W of 16 or more.
        num_classes: number of outputs.
        depth: 13 (9,416,010 parameters on CIFAR-10) or 16 (14,728,266).
        prune_head: whether pruning may touch the last layer. Left alone by default (ambiguity G-4).

    Source: paper A, Table A1 (VGG-13: 9.42M); paper B, Table 1 (VGG-16: 14.7M); convolutions have biases (A-X2).
    """
    body: OrderedDict[str, nn.Module] = OrderedDict()
    stem, num_in = nn.Conv2d(input_shape[0], _WIDTHS[0], 3, padding=1), _WIDTHS[0]
    for group, (width, repeats) in enumerate(zip(_WIDTHS, _REPEATS[depth], strict=True), start=1):
        for i in range(1, repeats + 1):
            if (group, i) != (1, 1):
                body[f"conv{group}_{i}"] = nn.Conv2d(num_in, width, 3, padding=1)
            body[f"bn{group}_{i}"] = nn.BatchNorm2d(width)
            body[f"relu{group}_{i}"] = nn.ReLU(inplace=True)
            num_in = width
        body[f"pool{group}"] = nn.MaxPool2d(2) if group < len(_WIDTHS) else nn.AdaptiveAvgPool2d(1)
    body["flatten"] = nn.Flatten()
    body["fc"] = nn.Linear(num_in, num_classes)
    network = nn.Sequential(OrderedDict(stem=stem, body=nn.Sequential(body)))
    setattr(network, SPARED, () if prune_head else ("body.fc",))
    return network
