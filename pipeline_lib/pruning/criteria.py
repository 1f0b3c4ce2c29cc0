"""Pruning: from trained weights and a mask to a sparser mask.

Every public function is a name that `pruning.criterion` may take.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from pipeline_lib.core.types import Mask

Arrays = Mapping[str, np.ndarray]


def num_pruned(remaining: int, fraction: float) -> int:
    """Count the weights to remove: `ceil(fraction * remaining)`, exact for decimal fractions (G-14)."""
    if not 0 < fraction < 1:
        raise ValueError(f"fraction must be in (0, 1), got {fraction}; it is the share of survivors to prune")
    return math.ceil(round(fraction * remaining, 6))


def _lowest(scores: np.ndarray, kept: np.ndarray, count: int) -> np.ndarray:
    """Drop the `count` lowest-scored kept entries of two flat arrays; of equal scores the first index goes first."""
    survivors = np.flatnonzero(kept)
    order = np.argsort(scores[survivors], kind="stable")
    result = kept.copy()
    result[survivors[order[:count]]] = False
    return result


def _drop(scores: Arrays, mask: Mask, fraction: float, scope: str) -> dict[str, np.ndarray]:
    if scope not in ("global", "layer"):
        raise ValueError(f"scope must be global or layer, got {scope!r}; choose where weights compete")
    groups = [list(mask)] if scope == "global" else [[name] for name in mask]
    result: dict[str, np.ndarray] = {}
    for names in groups:
        flat = np.concatenate([scores[name].reshape(-1) for name in names])
        kept = np.concatenate([mask[name].reshape(-1) for name in names])
        if not np.isfinite(flat[kept]).all():
            raise ValueError(
                "weights to prune must be finite, got NaN or infinity; the run has diverged, lower its learning rate"
            )
        kept = _lowest(flat, kept, num_pruned(int(kept.sum()), fraction))
        ends = np.cumsum([mask[name].size for name in names])[:-1]
        for name, piece in zip(names, np.split(kept, ends), strict=True):
            result[name] = piece.reshape(mask[name].shape)
    return result


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
    return _drop({name: np.abs(weights[name]) for name in mask}, mask, fraction, scope)


def random(weights: Arrays, mask: Mask, fraction: float, scope: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Prune survivors at random; arguments as for `magnitude`, the weights' values are not used."""
    return _drop({name: rng.random(keep.shape) for name, keep in mask.items()}, mask, fraction, scope)


def shuffled(mask: Mask, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Permute a mask inside each layer: the random-pruning control with the same per-layer counts.

    Source: paper B, section 4; the layer-wise reading is ambiguity B-X3.
    """
    return {name: rng.permutation(keep.reshape(-1)).reshape(keep.shape) for name, keep in mask.items()}
