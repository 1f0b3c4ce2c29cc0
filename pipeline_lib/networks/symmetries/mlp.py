"""Symmetries of multi-layer perceptrons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pipeline_lib.core.values import Count, Items
from pipeline_lib.networks.symmetries._layers import Axes, linear


def mlp(
    input_shape: Sequence[int], num_classes: int, widths: Annotated[Sequence[Count], Items(1, repeated=True)] = (300, 100)
) -> Axes:
    """Permute the units of each hidden layer."""
    found, inputs = Axes(), None
    for i in range(len(widths)):
        found |= linear("stem.fc1" if i == 0 else f"body.fc{i + 1}", f"fc{i + 1}", inputs)
        inputs = f"fc{i + 1}"
    return found | linear(f"body.fc{len(widths) + 1}", None, inputs)
