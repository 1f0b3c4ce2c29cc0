"""Optimisers over one flat parameter vector.

Every public function is a name that `optimiser.name` in a task may take; its arguments after the vector are the options.
They are torch's own: over one flat vector its fused kernels make a whole update a single pass over memory.
"""

from __future__ import annotations

import torch
from torch import Tensor


def sgd(vector: Tensor, lr: float, momentum: float = 0.0, weight_decay: float = 0.0) -> torch.optim.Optimizer:
    """Make SGD with momentum and L2 weight decay on all parameters."""
    return torch.optim.SGD([vector], lr=lr, momentum=momentum, weight_decay=weight_decay, fused=True)


def adam(vector: Tensor, lr: float, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8) -> torch.optim.Optimizer:
    """Make Adam. Source: Kingma & Ba, 2015."""
    return torch.optim.Adam([vector], lr=lr, betas=(beta1, beta2), eps=eps, fused=True)


def get_slots(optimiser: torch.optim.Optimizer, vector: Tensor) -> dict[str, Tensor]:
    """Copy the optimiser's tensors (momentum, second moment, step count) out of it."""
    slots = optimiser.state.get(vector, {})
    return {name: tensor.detach().clone() for name, tensor in slots.items() if tensor is not None}


def set_slots(optimiser: torch.optim.Optimizer, vector: Tensor, slots: dict[str, Tensor]) -> None:
    """Put copied tensors back, so that the next update continues where they were taken."""
    if slots:
        optimiser.state[vector] = {name: tensor.clone() for name, tensor in slots.items()}
