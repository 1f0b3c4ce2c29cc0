"""Pruning by size."""

from __future__ import annotations

import numpy as np

from pipeline_lib.core.types import Mask
from pipeline_lib.pruning.selection import Arrays, drop


def magnitude(weights: Arrays, mask: Mask, fraction: float, scope: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Prune the survivors of smallest magnitude.

    Args:
        weights: trained prunable tensors.
        mask: current mask, same names and shapes.
        fraction: share of the survivors to prune, in (0, 1).
        scope: "global" ranks all layers together, "layer" each by itself.
        rng: not used.

    Returns:
        The next mask, a subset of `mask`.

    Source: paper B, Algorithm 2.
    """
    return drop({name: np.abs(weights[name]) for name in mask}, mask, fraction, scope)
