"""Random initialisation, as a function of a generator alone.

Every public function is a name that `initialisation.name` in a task may take. The network's own parameters are neither read nor
written. Biases are uniform within `1 / sqrt(fan_in)`, which is torch's default; BatchNorm's shift is 0, its statistics 0 and 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from pipeline_lib.core.types import State

_Weight = Callable[[torch.Size, torch.Generator], Tensor]


def _draw(network: nn.Module, generator: torch.Generator, weight: _Weight, batchnorm_scale: str) -> State:
    params: dict[str, Tensor] = {}
    for prefix, module in network.named_modules():
        own = dict(module.named_parameters(recurse=False))
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            params[f"{prefix}.weight"] = weight(own["weight"].shape, generator)
            if "bias" in own:
                bound = own["weight"][0].numel() ** -0.5
                params[f"{prefix}.bias"] = torch.empty(own["bias"].shape).uniform_(-bound, bound, generator=generator)
        elif isinstance(module, nn.BatchNorm2d):
            shape = own["weight"].shape
            params[f"{prefix}.weight"] = (
                torch.rand(shape, generator=generator) if batchnorm_scale == "uniform" else torch.ones(shape)
            )
            params[f"{prefix}.bias"] = torch.zeros(shape)
        elif own:
            raise ValueError(f"module {prefix!r} must be a conv, linear or BatchNorm layer, got {type(module).__name__}")
    ordered = {name: params[name] for name, _ in network.named_parameters()}
    buffers = {name: buffer.detach().clone() for name, buffer in network.named_buffers()}
    return State(ordered, buffers)


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
    return _draw(network, generator, lambda s, g: torch.randn(s, generator=g) * (2 / s[1:].numel()) ** 0.5, batchnorm_scale)


def glorot_normal(
    network: nn.Module, generator: torch.Generator, batchnorm_scale: Literal["uniform", "one"] = "uniform"
) -> State:
    """Draw weights from a normal distribution of standard deviation `sqrt(2 / (fan_in + fan_out))`; else as `kaiming_normal`.

    Source: Glorot & Bengio, 2010.
    """

    def weight(shape: torch.Size, generator: torch.Generator) -> Tensor:
        kernel = shape[2:].numel()
        return torch.randn(shape, generator=generator) * (2 / ((shape[0] + shape[1]) * kernel)) ** 0.5

    return _draw(network, generator, weight, batchnorm_scale)


def kaiming_uniform(network: nn.Module, generator: torch.Generator, batchnorm_scale: Literal["uniform", "one"] = "one") -> State:
    """Draw weights uniformly within `1 / sqrt(fan_in)`, torch's own default; else as `kaiming_normal`."""

    def weight(shape: torch.Size, generator: torch.Generator) -> Tensor:
        bound = shape[1:].numel() ** -0.5
        return torch.empty(shape).uniform_(-bound, bound, generator=generator)

    return _draw(network, generator, weight, batchnorm_scale)
