"""Pruning at random."""

from __future__ import annotations

import numpy as np

from pipeline_lib.core.types import Mask


def random(mask: Mask, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Keep weights at random: scores are uniform draws, in the mask's order; what the weights are does not matter."""
    return {name: rng.random(keep.shape) for name, keep in mask.items()}
