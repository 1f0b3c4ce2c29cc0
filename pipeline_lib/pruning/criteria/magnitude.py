"""Pruning by size."""

from __future__ import annotations

import numpy as np

from pipeline_lib.pruning.selection import Arrays


def magnitude(weights: Arrays) -> dict[str, np.ndarray]:
    """Keep the largest weights: `|w|`.

    Source: paper B, Algorithm 2.
    """
    return {name: np.abs(weight) for name, weight in weights.items()}
