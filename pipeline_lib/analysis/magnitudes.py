"""Magnitudes of weights beside their mean, and distances between points of weight space."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np

Point = tuple[str, int]

_PARTS = 200


def quantiles(weights: np.ndarray) -> dict[float, float]:
    """Compute the quantiles 0, 0.005, ..., 1 of `|w| / mean |w|`.

    The quantile at q is the smallest magnitude such that at least the share q of all magnitudes is at or below it; at 0 it is
    the smallest of all. So each is the magnitude of some weight, and of pruned weights that count, a fifth make the one at 0.2
    exactly zero.

    Args:
        weights: (num_weights,); zeros count, in the mean too.

    Returns:
        The ratio by quantile, ascending. Empty where no weight differs from zero: there is no mean to divide by.

    Example:
        >>> found = quantiles(np.array([0.0, -1.0, 3.0, 4.0]))
        >>> found[0.25], found[0.5], found[1.0]
        (0.0, 0.5, 2.0)

    Source: paper C, figure 7; which weights count is ambiguity C-X16.
    """
    magnitudes = np.sort(np.abs(weights))
    if not magnitudes.any():
        return {}
    # Whole numbers: in floating point, 0.07 of 100 weights would be a little more than 7 of them.
    ranks = -(np.arange(_PARTS + 1) * -len(magnitudes) // _PARTS)
    ratios = magnitudes[np.maximum(ranks, 1) - 1] / magnitudes.mean(dtype=np.float64)
    return {part / _PARTS: float(ratio) for part, ratio in enumerate(ratios)}


def distances(points: Mapping[Point, np.ndarray]) -> dict[tuple[Point, Point], float]:
    """Compute the Euclidean distance of every two points, in float64.

    Args:
        points: vectors (num_weights,) by name and level.

    Returns:
        The distance by pair; of the two, the one that comes first in `points` is named first.

    Source: paper C, section 3.
    """
    return {
        (one, other): float(np.linalg.norm(np.subtract(points[one], points[other], dtype=np.float64)))
        for one, other in combinations(points, 2)
    }
