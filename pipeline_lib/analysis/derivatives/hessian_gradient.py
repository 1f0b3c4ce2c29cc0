"""What a step along the gradient does to the gradient."""

from __future__ import annotations

from torch import Tensor, nn

from pipeline_lib.analysis.curvature import Batches, hessian_product
from pipeline_lib.analysis.derivatives._places import by_layer
from pipeline_lib.core.types import Mask, State


def hessian_gradient(network: nn.Module, state: State, batches: Batches, mask: Mask) -> dict[str, Tensor]:
    """Compute the product of the training loss's Hessian with its gradient: `H g`, both means over the same examples.

    It is half the gradient of `|g|^2`. BatchNorm as for `gradients`; by double backward, over the surviving weights alone.
    """
    product, gradient = hessian_product(network, state, batches, list(mask), mask, "train")
    return by_layer(product(gradient), mask)
