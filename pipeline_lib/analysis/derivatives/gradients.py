"""First derivatives of the training loss."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from pipeline_lib.analysis.curvature import Batches, hessian_product
from pipeline_lib.analysis.derivatives._places import by_layer
from pipeline_lib.core.types import Mask, State


def gradients(network: nn.Module, state: State, batches: Batches, mask: Mask) -> dict[str, Tensor]:
    """Compute the mean gradient of the training loss: `g = (1/N) sum_n dL_n/dw`.

    Each example counts once. BatchNorm normalises with each mini-batch's own statistics, as in training, so that W_0 has the
    gradient that training would begin with.
    """
    return by_layer(hessian_product(network, state, batches, list(mask), mask, "train")[1], mask)


def squared_gradients(network: nn.Module, state: State, batches: Batches, mask: Mask) -> dict[str, Tensor]:
    """Compute the mean square of the mini-batches' gradients, each of which counts by its examples: `sum_b (n_b/N) g_b^2`."""
    total, num = torch.zeros((), dtype=torch.float64), 0
    for x, y in batches():
        gradient = hessian_product(network, state, partial(iter, [(x, y)]), list(mask), mask, "train")[1]
        total, num = total.to(y.device) + len(y) * gradient.double().square(), num + len(y)
    return by_layer(total / num, mask)
