"""What a network is made of: which tensors pruning may touch, and how their entries form filters."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)  # layers that keep statistics of their units
SPARED = "spared"  # attribute of a network: modules whose weights are not pruned


@dataclass(frozen=True)
class Filters:
    """How a prunable tensor of shape (outputs, inputs, ...) divides.

    Args:
        outputs: units or output channels, axis 0.
        inputs: units or input channels of each, axis 1.
        kernel: entries of one (output, input) slice; 1 in a linear layer.
    """

    outputs: int
    inputs: int
    kernel: int


def prunable(network: nn.Module) -> list[str]:
    """List the prunable parameters: weights of convolutions and linear layers that the network does not spare (G-4).

    Args:
        network: template.

    Returns:
        Their names, in the network's order.

    Example:
        >>> prunable(digits.network)
        ['stem.fc1.weight', 'body.fc2.weight']
    """
    spared = getattr(network, SPARED, ())
    layers = (name for name, module in network.named_modules() if isinstance(module, (nn.Conv2d, nn.Linear)))
    return [f"{name}.weight" for name in layers if name not in spared]


def filters(network: nn.Module) -> dict[str, Filters]:
    """Describe the filters of each prunable tensor; perturbations permute whole filters, slices or entries."""
    shapes = {name: network.get_parameter(name).shape for name in prunable(network)}
    return {name: Filters(shape[0], shape[1], shape[2:].numel()) for name, shape in shapes.items()}


def num_params(network: nn.Module) -> int:
    """Count the trainable parameters."""
    return sum(parameter.numel() for parameter in network.parameters())


def parts(network: nn.Sequential) -> list[tuple[str, nn.Module]]:
    """List what a network applies one after the other, by name: the stem, and each child of the body."""
    return [("stem", network[0]), *((f"body.{name}", child) for name, child in network[1].named_children())]


def blocks(network: nn.Sequential) -> list[str]:
    """List the parts that can be mixed one at a time: the stem, and each child of the body that has parameters."""
    return [name for name, part in parts(network) if name == "stem" or any(True for _ in part.parameters())]
