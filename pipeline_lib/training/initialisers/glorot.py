"""Deviations that depend on the numbers of inputs and outputs."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from pipeline_lib.core.types import State
from pipeline_lib.training.initialisers._draw import draw

_TRUNCATED = 0.8796256610342398  # standard deviation of a normal distribution that is cut off at two deviations


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


def glorot_truncated(
    network: nn.Module, generator: torch.Generator, batchnorm_scale: Literal["uniform", "one"] = "uniform"
) -> State:
    """Draw weights as `glorot_normal` does, from a normal distribution cut off at two of its deviations; biases are zero.

    What is left of the distribution has the standard deviation of `glorot_normal`.

    Source: TensorFlow's `glorot_normal_initializer`, which the authors of paper B use for LeNet.
    """

    def weight(shape: torch.Size, generator: torch.Generator) -> Tensor:
        kernel = shape[2:].numel()
        whole = (2 / ((shape[0] + shape[1]) * kernel)) ** 0.5 / _TRUNCATED
        return nn.init.trunc_normal_(torch.empty(shape), 0.0, whole, -2 * whole, 2 * whole, generator=generator)

    state = draw(network, generator, weight, batchnorm_scale)
    params = {name: torch.zeros_like(tensor) if name.endswith(".bias") else tensor for name, tensor in state.params.items()}
    return State(params, state.buffers)
