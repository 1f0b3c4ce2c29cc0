"""Deviations that depend on the numbers of inputs and outputs."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from pipeline_lib.core.types import State
from pipeline_lib.training.initialisers._draw import draw


def glorot_normal(
    network: nn.Module, generator: torch.Generator, batchnorm_scale: Literal["uniform", "one"] = "uniform"
) -> State:
    """Draw weights from a normal distribution of standard deviation `sqrt(2 / (fan_in + fan_out))`; else as `kaiming_normal`.

    Source: Glorot & Bengio, 2010.
    """

    def weight(shape: torch.Size, generator: torch.Generator) -> Tensor:
        kernel = shape[2:].numel()
        return torch.randn(shape, generator=generator) * (2 / ((shape[0] + shape[1]) * kernel)) ** 0.5

    return draw(network, generator, weight, batchnorm_scale)
