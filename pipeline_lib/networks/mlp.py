"""Multi-layer perceptrons."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Annotated

from torch import nn

from pipeline_lib.core.values import Count, Items


def mlp(
    input_shape: Sequence[int], num_classes: int, widths: Annotated[Sequence[Count], Items(1, repeated=True)] = (300, 100)
) -> nn.Sequential:
    """Build a fully connected ReLU network; the default widths make LeNet-300-100.

    Args:
        input_shape: (C, H, W) of one example.
        num_classes: number of outputs.
        widths: number of units of each hidden layer.

    Source: paper B, Table 1 (266,610 parameters on 28x28 images and ten classes).
    """
    channels, height, width = input_shape
    sizes = [channels * height * width, *widths, num_classes]
    stem = nn.Sequential(OrderedDict(flatten=nn.Flatten(), fc1=nn.Linear(sizes[0], sizes[1])))
    body: OrderedDict[str, nn.Module] = OrderedDict()
    for i in range(1, len(sizes) - 1):
        body[f"relu{i}"] = nn.ReLU()
        body[f"fc{i + 1}"] = nn.Linear(sizes[i], sizes[i + 1])
    return nn.Sequential(OrderedDict(stem=stem, body=nn.Sequential(body)))
