"""Symmetries of wide residual networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pipeline_lib.core.values import Count, In
from pipeline_lib.networks.symmetries._layers import Axes, convolution, linear, norm


def _block(name: str, outputs: str, inputs: str) -> Axes:
    own, inner = f"body.{name}", f"{name}.conv1"
    found = norm(f"{own}.bn1", inputs) | convolution(f"{own}.conv1", inner, inputs)
    found |= norm(f"{own}.bn2", inner) | convolution(f"{own}.conv2", outputs, inner)
    return found | (convolution(f"{own}.shortcut", outputs, inputs) if outputs != inputs else {})


def wide_resnet(
    input_shape: Sequence[int], num_classes: int, depth: Annotated[int, In("[10, 1000]", step=6)] = 16, widen: Count = 8
) -> Axes:
    """Permute the channels of each stage, which all its blocks add to, and those between the two convolutions of each block."""
    before = "stem" if widen > 1 else "stage1"  # where widths are equal, the first block adds to what the stem gives
    found = convolution("stem", before, None)
    for stage in range(1, 4):
        for block in range(1, (depth - 4) // 6 + 1):
            found |= _block(f"stage{stage}_block{block}", f"stage{stage}", before)
            before = f"stage{stage}"
    return found | norm("body.bn", before) | linear("body.fc", None, before)
