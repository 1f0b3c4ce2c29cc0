"""What a step along the gradient does to the gradient."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from pipeline_lib.analysis.curvature import Batches, hessian_product
from pipeline_lib.analysis.derivatives._places import by_layer
from pipeline_lib.core.types import Mask, State

TEMPERATURE = 200.0


class _Tempered(nn.Module):
    """Divides logits by the temperature."""

    def forward(self, logits: Tensor) -> Tensor:
        return logits / TEMPERATURE


def hessian_gradient(network: nn.Module, state: State, batches: Batches, mask: Mask) -> dict[str, Tensor]:
    """Compute the product of the training loss's Hessian with its gradient: `H g`, both means over the same examples.

    It is half the gradient of `|g|^2`. BatchNorm as for `gradients`; by double backward, over the surviving weights alone.
    """
    product, gradient = hessian_product(network, state, batches, list(mask), mask, "train")
    return by_layer(product(gradient), mask)


def hot_hessian_gradient(network: nn.Module, state: State, batches: Batches, mask: Mask) -> dict[str, Tensor]:
    """Compute `H g` of the loss at a temperature of 200, that is of the cross-entropy of `logits / 200`.

    Predictions are then all but uniform, whatever the state, and the loss's curvature in the logits has next to no part in H.

    Source: the temperature is that of GraSP's authors.
    """
    tempered = nn.Sequential(OrderedDict([*network.named_children(), ("temperature", _Tempered())]))
    return hessian_gradient(tempered, state, batches, mask)
