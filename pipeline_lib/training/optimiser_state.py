"""What an optimiser keeps beside the weights, its slots, and its learning rate."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

PIECES = 36  # as many tensors as one launch of torch's fused Adam takes; its SGD takes 48
_ALIGNED = 64  # entries: a piece begins where a GPU may read several at once


def divide(optimiser: torch.optim.Optimizer, vector: Tensor, num: int = PIECES) -> None:
    """Let an optimiser that was made for a vector, with a gradient, and has no slots yet, work on it in pieces.

    On a GPU torch's fused kernels give a multiprocessor 65,536 entries of one tensor, so that one vector of a small network
    leaves most of them idle. Each entry's update stays the same.
    """
    assert vector.grad is not None
    size = -(-len(vector) // (num * _ALIGNED)) * _ALIGNED
    pieces = vector.split(size)
    for piece, gradient in zip(pieces, vector.grad.split(size), strict=True):
        piece.grad = gradient
    optimiser.param_groups[0]["params"] = list(pieces)


def slots(make: Callable[[Tensor], torch.optim.Optimizer]) -> set[str]:
    """Name the tensors that an optimiser has after a step."""
    vector = torch.zeros(1)
    vector.grad = torch.zeros(1)
    optimiser = make(vector)
    optimiser.step()
    return set(get_slots(optimiser))


def _pieces(optimiser: torch.optim.Optimizer) -> list[Tensor]:
    pieces: list[Tensor] = optimiser.param_groups[0]["params"]
    return pieces


def get_slots(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Copy the optimiser's tensors (momentum, second moment, step count) out of it."""
    states = [optimiser.state.get(piece, {}) for piece in _pieces(optimiser)]
    names = [name for name, tensor in states[0].items() if tensor is not None]
    # A number, such as the step count, is the same for all pieces.
    return {n: torch.cat([s[n].detach() for s in states]) if states[0][n].dim() else states[0][n].clone() for n in names}


def set_slots(optimiser: torch.optim.Optimizer, slots: dict[str, Tensor]) -> None:
    """Put copied tensors back, so that the next update continues where they were taken."""
    begin = 0
    for piece in _pieces(optimiser) if slots else ():
        end = begin + len(piece)
        optimiser.state[piece] = {n: (tensor[begin:end] if tensor.dim() else tensor).clone() for n, tensor in slots.items()}
        begin = end


def rate_setter(optimiser: torch.optim.Optimizer, device: torch.device) -> Callable[[float], None]:
    """Return the function that sets the learning rate to a factor of its peak."""
    if device.type == "cuda":
        return recorded_rate_setter(optimiser, device)
    group = optimiser.param_groups[0]
    peak = float(group["lr"])

    def set_number(factor: float) -> None:
        group["lr"] = peak * factor

    return set_number


def recorded_rate_setter(optimiser: torch.optim.Optimizer, device: torch.device) -> Callable[[float], None]:
    """Do the same with a rate that is a tensor on the device, so that recorded kernels see each new value."""
    group = optimiser.param_groups[0]
    peak = last = float(group["lr"])
    rate = group["lr"] = torch.full((), peak, device=device)
    group["capturable"] = True
    optimiser._warned_capturable_if_run_uncaptured = True  # the plain calls before a recording

    def set_tensor(factor: float) -> None:
        nonlocal last
        if peak * factor != last:
            last = peak * factor
            rate.fill_(last)

    return set_tensor
