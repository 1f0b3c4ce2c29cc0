"""What a perturbation may look at besides the weights, and the surviving weights as one vector."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from pipeline_lib.core.types import Mask

# Standard deviation of the weights by fan-in and fan-out; `training/initialisers` has the distributions.
_DEVIATIONS: dict[str, Callable[[int, int], float]] = {
    "kaiming_normal": lambda fan_in, fan_out: math.sqrt(2 / fan_in),
    "glorot_normal": lambda fan_in, fan_out: math.sqrt(2 / (fan_in + fan_out)),
    "kaiming_uniform": lambda fan_in, fan_out: math.sqrt(1 / (3 * fan_in)),
}


@dataclass(frozen=True)
class Around:
    """What a perturbation may look at besides the weights; its mappings have the mask's names.

    Args:
        mask: prunable tensors, True = survives. Its order is the order of random draws.
        initial: W_0, dense.
        fresh: a separate draw of the initialisation, dense.
        deviation: standard deviation of the initialisation, by tensor.
        next: mask of the next level of the same ladder; None where there is none.
    """

    mask: Mask
    initial: Mapping[str, np.ndarray]
    fresh: Mapping[str, np.ndarray]
    deviation: Mapping[str, float]
    next: Mask | None = None


def initial_deviation(initialisation: str, drawn: np.ndarray) -> float:
    """Compute the standard deviation of an initialisation's weights in one tensor.

    `sqrt(2 / fan_in)`, `sqrt(2 / (fan_in + fan_out))` and, for the uniform one within `1 / sqrt(fan_in)`, `sqrt(1 / (3 fan_in))`;
    of an initialisation without a formula here, the deviation of what it drew.

    Args:
        initialisation: its name in `training/initialisers`.
        drawn: the tensor as it was drawn, (outputs, inputs, ...).

    Source: paper A, section 5.3; the analytic value is ambiguity A-X12.
    """
    if initialisation not in _DEVIATIONS:
        return float(drawn.std(dtype=np.float64))
    outputs, inputs, *kernel = drawn.shape
    return _DEVIATIONS[initialisation](inputs * math.prod(kernel), outputs * math.prod(kernel))


def survivors(tensors: Mapping[str, np.ndarray], mask: Mask) -> np.ndarray:
    """Concatenate the surviving entries to a vector (num_survivors,), in the mask's order."""
    return np.concatenate([tensors[name][keep] for name, keep in mask.items()])


def scatter(vector: np.ndarray, like: Mapping[str, np.ndarray], mask: Mask) -> dict[str, np.ndarray]:
    """Put a vector back in place: the inverse of `survivors`, with zeros where the mask prunes.

    Args:
        vector: (num_survivors,), in the mask's order.
        like: tensors that give the shapes and dtypes.
        mask: where the entries go.
    """
    ends = np.cumsum([np.count_nonzero(keep) for keep in mask.values()])[:-1]
    result = {name: np.zeros_like(like[name]) for name in mask}
    for name, piece in zip(mask, np.split(vector, ends), strict=True):
        result[name][mask[name]] = piece
    return result
