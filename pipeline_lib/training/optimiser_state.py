"""What an optimiser keeps beside the weights, its slots, and its learning rate."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def slots(make: Callable[[Tensor], torch.optim.Optimizer]) -> set[str]:
    """Name the tensors that an optimiser has after a step."""
    vector = torch.zeros(1)
    vector.grad = torch.zeros(1)
    optimiser = make(vector)
    optimiser.step()
    return set(get_slots(optimiser, vector))


def get_slots(optimiser: torch.optim.Optimizer, vector: Tensor) -> dict[str, Tensor]:
    """Copy the optimiser's tensors (momentum, second moment, step count) out of it."""
    slots = optimiser.state.get(vector, {})
    return {name: tensor.detach().clone() for name, tensor in slots.items() if tensor is not None}


def set_slots(optimiser: torch.optim.Optimizer, vector: Tensor, slots: dict[str, Tensor]) -> None:
    """Put copied tensors back, so that the next update continues where they were taken."""
    if slots:
        optimiser.state[vector] = {name: tensor.clone() for name, tensor in slots.items()}


def rate_setter(optimiser: torch.optim.Optimizer, device: torch.device) -> Callable[[float], None]:
    """Return the function that sets the learning rate to a factor of its peak.

    On a CUDA device the rate is a tensor there, so that recorded kernels see each new value.
    """
    group = optimiser.param_groups[0]
    peak = float(group["lr"])
    if device.type != "cuda":

        def set_number(factor: float) -> None:
            group["lr"] = peak * factor

        return set_number
    rate = group["lr"] = torch.full((), peak, device=device)
    group["capturable"] = True
    optimiser._warned_capturable_if_run_uncaptured = True  # the plain calls before a recording

    def set_tensor(factor: float) -> None:
        rate.fill_(peak * factor)

    return set_tensor
