"""Which weights go: scores, ties, scopes and counts, for all criteria."""

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


def drop(scores: Arrays, mask: Mask, fraction: float, scope: str) -> dict[str, np.ndarray]:
    """Prune the survivors of lowest score.

    Args:
        scores: of each weight, same names and shapes as the mask.
        mask: current mask.
        fraction: share of the survivors to prune, in (0, 1).
        scope: "global" ranks all layers together, "layer" each by itself.

    Returns:
        The next mask, a subset of `mask`.

    Raises:
        ValueError: a survivor's score is not finite, or a wrong fraction or scope.
    """
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
