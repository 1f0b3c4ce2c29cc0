"""Pruning at random."""

from __future__ import annotations

import numpy as np

from pipeline_lib.core.types import Mask
from pipeline_lib.pruning.selection import Arrays, drop


def random(weights: Arrays, mask: Mask, fraction: float, scope: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Prune survivors at random; arguments as for `magnitude`, the weights' values are not used."""
    return drop({name: rng.random(keep.shape) for name, keep in mask.items()}, mask, fraction, scope)
