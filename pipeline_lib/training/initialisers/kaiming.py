"""Deviations that depend on the number of inputs alone."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from pipeline_lib.core.types import State
from pipeline_lib.training.initialisers._draw import draw


def kaiming_normal(
    network: nn.Module, generator: torch.Generator, batchnorm_scale: Literal["uniform", "one"] = "uniform"
) -> State:
    """Draw weights from a normal distribution of standard deviation `sqrt(2 / fan_in)`.

    Args:
        network: template.
        generator: where the draws come from.
        batchnorm_scale: "uniform" on [0, 1], or "one".

    Source: the sibling code of papers A and B (ambiguity G-5); He et al., 2015.
    """
    return draw(network, generator, lambda s, g: torch.randn(s, generator=g) * (2 / s[1:].numel()) ** 0.5, batchnorm_scale)


def kaiming_uniform(network: nn.Module, generator: torch.Generator, batchnorm_scale: Literal["uniform", "one"] = "one") -> State:
    """Draw weights uniformly within `1 / sqrt(fan_in)`, torch's own default; else as `kaiming_normal`."""

    def weight(shape: torch.Size, generator: torch.Generator) -> Tensor:
        bound = shape[1:].numel() ** -0.5
        return torch.empty(shape).uniform_(-bound, bound, generator=generator)

    return draw(network, generator, weight, batchnorm_scale)
