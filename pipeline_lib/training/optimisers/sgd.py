"""Stochastic gradient descent, with weight decay in the gradient or apart from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pipeline_lib.core.values import NotNegative, Positive, Share, ShareBelowOne


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
