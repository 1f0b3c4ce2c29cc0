"""Random initialisation, as a function of a generator alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pipeline_lib.types import State


def prunable(network: nn.Module) -> list[str]:
    """List the prunable parameters: weights of convolutions and linear layers, never biases or BatchNorm (G-4)."""
    return [f"{name}.weight" for name, module in network.named_modules() if isinstance(module, (nn.Conv2d, nn.Linear))]


def initialise(network: nn.Module, generator: torch.Generator) -> State:
    """Draw a state at step 0; the network's own parameters are neither read nor written.

    Weights are Kaiming-normal (standard deviation `sqrt(2 / fan_in)`), biases uniform within `1 / sqrt(fan_in)`, BatchNorm scales
    uniform on [0, 1] with shift 0, running statistics 0 and 1.

    Source: the sibling code of papers A and B (ambiguity G-5).
    """
    params: dict[str, Tensor] = {}
    for prefix, module in network.named_modules():
        own = dict(module.named_parameters(recurse=False))
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            weight = own["weight"]
            fan_in = weight[0].numel()
            params[f"{prefix}.weight"] = torch.randn(weight.shape, generator=generator) * (2 / fan_in) ** 0.5
            if "bias" in own:
                bound = fan_in**-0.5
                params[f"{prefix}.bias"] = torch.empty(own["bias"].shape).uniform_(-bound, bound, generator=generator)
        elif isinstance(module, nn.BatchNorm2d):
            params[f"{prefix}.weight"] = torch.rand(own["weight"].shape, generator=generator)
            params[f"{prefix}.bias"] = torch.zeros(own["bias"].shape)
        elif own:
            raise ValueError(f"module {prefix!r} must be a conv, linear or BatchNorm layer, got {type(module).__name__}")
    ordered = {name: params[name] for name, _ in network.named_parameters()}
    buffers = {name: buffer.detach().clone() for name, buffer in network.named_buffers()}
    return State(ordered, buffers)
