"""Drawing all tensors of a network, given how one weight is drawn."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from pipeline_lib.core.types import State

Weight = Callable[[torch.Size, torch.Generator], Tensor]


def draw(network: nn.Module, generator: torch.Generator, weight: Weight, batchnorm_scale: str) -> State:
    """Draw the state of a network.

    Args:
        network: template.
        generator: where the draws come from.
        weight: draws the weight of a layer, of the given shape.
        batchnorm_scale: "uniform" on [0, 1], or "one".

    Raises:
        ValueError: a layer is of a kind that nobody knows how to draw.
    """
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
            raise ValueError(
                f"module {prefix!r} must be a conv, linear or BatchNorm layer, got {type(module).__name__}; "
                "set initialisation: {name: own_reset} for layers of other kinds"
            )
    ordered = {name: params[name] for name, _ in network.named_parameters()}
    buffers = {name: buffer.detach().clone() for name, buffer in network.named_buffers()}
    return State(ordered, buffers)
