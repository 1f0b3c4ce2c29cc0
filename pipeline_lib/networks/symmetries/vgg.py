"""Symmetries of VGG networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pipeline_lib.networks.symmetries._layers import Axes, convolution, linear, norm

_REPEATS = {13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3)}


def vgg(input_shape: Sequence[int], num_classes: int, depth: Literal[13, 16] = 16, prune_head: bool = False) -> Axes:
    """Permute the channels of each convolution."""
    found, inputs = Axes(), None
    for group, repeats in enumerate(_REPEATS[depth], start=1):
        for i in range(1, repeats + 1):
            place = f"{group}_{i}"
            found |= convolution("stem" if place == "1_1" else f"body.conv{place}", f"conv{place}", inputs, bias=True)
            found |= norm(f"body.bn{place}", f"conv{place}")
            inputs = f"conv{place}"
    return found | linear("body.fc", None, inputs)
