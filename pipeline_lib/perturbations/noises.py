"""Random vectors added to the surviving weights."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pipeline_lib.core.types import Mask
from pipeline_lib.core.values import NotNegative
from pipeline_lib.perturbations.support.context import Around, scatter, survivors


def noise(
    weights: Mapping[str, np.ndarray], around: Around, rng: np.random.Generator, sigma: NotNegative = 1.0
) -> dict[str, np.ndarray]:
    """Add Gaussian noise to survivors: `w + N(0, (sigma * s)^2)`, with s the layer's deviation at initialisation.

    Args:
        weights: prunable tensors of the masked start.
        around: the mask, and each tensor's standard deviation at initialisation.
        rng: where the noise comes from.
        sigma: its standard deviation in units of the initialisation's, at least 0.

    Returns:
        Perturbed tensors.

    Source: paper A, section 5.3 and figure 7; ambiguity A-X12.
    """
    scales = [np.full(np.count_nonzero(keep), sigma * around.deviation[name]) for name, keep in around.mask.items()]
    scale = np.concatenate(scales)
    return scatter(survivors(weights, around.mask) + scale * rng.standard_normal(len(scale)), weights, around.mask)


def sphere(
    weights: Mapping[str, np.ndarray], around: Around, rng: np.random.Generator, radius: NotNegative = 1.0
) -> dict[str, np.ndarray]:
    """Add a vector drawn uniformly from a sphere around 0, in the space of all survivors together: `w + radius * z / |z|`.

    Args:
        weights: prunable tensors of the masked start.
        around: the mask.
        rng: where the direction comes from.
        radius: Euclidean length of the vector, in units of the weights, at least 0.

    Returns:
        Perturbed tensors.

    Source: paper C, definition 3.1 and figure 4; ambiguity C-X4.
    """
    values = survivors(weights, around.mask)
    direction = rng.standard_normal(len(values))
    if len(values):
        direction *= radius / np.linalg.norm(direction)
    return scatter(values + direction, weights, around.mask)


def pruning_sized(
    weights: Mapping[str, np.ndarray], around: Around, rng: np.random.Generator, next_mask: Mask
) -> dict[str, np.ndarray]:
    """Add a vector drawn uniformly from a sphere, as long as what the next level's mask takes away: `|m(L+1) * w - m(L) * w|`.

    Args:
        weights: prunable tensors of the masked start.
        around: the mask m(L).
        rng: where the direction comes from.
        next_mask: m(L+1).

    Returns:
        Perturbed tensors.

    Source: paper C, figure 4; ambiguity C-X4.
    """
    lost = {name: keep & ~next_mask[name] for name, keep in around.mask.items()}
    return sphere(weights, around, rng, float(np.linalg.norm(survivors(weights, lost).astype(np.float64))))
