"""Optimisers over one flat parameter vector.

Every public function is a name that `optimiser.name` in a task may take; its arguments after the vector are the options.
They are torch's own: over one flat vector its fused kernels make a whole update a single pass over memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import torch
from torch import Tensor

from pipeline_lib.core.values import In, NotNegative, Positive, Share, ShareBelowOne


class _DecoupledSGD(torch.optim.SGD):
    """SGD whose weight decay shrinks the weights themselves, in proportion to the schedule's factor."""

    def __init__(self, vector: Tensor, lr: float, momentum: float, decay: float) -> None:
        super().__init__([vector], lr=lr, momentum=momentum, fused=True)
        self._vector, self._peak, self._decay = vector, lr, decay

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        self._vector.mul_(1 - self._decay * (self.param_groups[0]["lr"] / self._peak))
        return super().step(closure)


def sgd(
    vector: Tensor,
    lr: Positive,
    momentum: ShareBelowOne = 0.0,
    weight_decay: NotNegative = 0.0,
    nesterov: bool = False,
) -> torch.optim.Optimizer:
    """Make SGD with momentum and L2 weight decay on all parameters."""
    return torch.optim.SGD([vector], lr=lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov, fused=True)


def decoupled_sgd(
    vector: Tensor, lr: Positive, momentum: ShareBelowOne = 0.0, weight_decay: Share = 0.0
) -> torch.optim.Optimizer:
    """Make SGD whose weight decay is apart from the gradient: `w <- (1 - weight_decay * rate / lr) w - rate * buffer`.

    Source: Loshchilov & Hutter, 2019, algorithm 1; paper C, appendix B.
    """
    return _DecoupledSGD(vector, lr, momentum, weight_decay)


def adam(
    vector: Tensor,
    lr: Positive,
    beta1: ShareBelowOne = 0.9,
    beta2: ShareBelowOne = 0.999,
    eps: Annotated[float, In("[1e-30, 1]")] = 1e-8,
) -> torch.optim.Optimizer:
    """Make Adam. Source: Kingma & Ba, 2015."""
    return torch.optim.Adam([vector], lr=lr, betas=(beta1, beta2), eps=eps, fused=True)


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
