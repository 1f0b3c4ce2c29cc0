"""Which weights go: scores, ties, scopes and counts, for all criteria."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline_lib.core import registry
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


def _check(criterion: str, scores: Arrays, mask: Mask) -> None:
    """Refuse scores that cannot be ranked."""
    for name, keep in mask.items():
        found = scores[name].shape if name in scores else None
        if found != keep.shape:
            raise ValueError(
                f"scores of criterion {criterion} must have the weights' names and shapes, {keep.shape} for {name}, "
                f"got {found or 'none'}; mend the criterion"
            )
        if not np.isfinite(scores[name][keep]).all():
            raise ValueError(
                f"scores of criterion {criterion} must be finite, got NaN or infinity in {name}; "
                "if the run has diverged, lower its learning rate, else mend the criterion"
            )


def drop(criterion: str, scores: Arrays, mask: Mask, fraction: float, scope: str) -> dict[str, np.ndarray]:
    """Prune the survivors of lowest score; of equal ones those that come first in the mask's order.

    Args:
        criterion: what the scores are of, for errors.
        scores: of each weight, same names and shapes as the mask; those of pruned weights do not matter.
        mask: current mask.
        fraction: share of the survivors to prune, in (0, 1).
        scope: "global" ranks all layers together, "layer" each by itself.

    Returns:
        The next mask, a subset of `mask`.

    Raises:
        ValueError: a layer has no scores, or not its shape, a survivor's score is not finite, or a wrong fraction or scope.
    """
    if scope not in ("global", "layer"):
        raise ValueError(f"scope must be global or layer, got {scope!r}; choose where weights compete")
    _check(criterion, scores, mask)
    groups = [list(mask)] if scope == "global" else [[name] for name in mask]
    result: dict[str, np.ndarray] = {}
    for names in groups:
        flat = np.concatenate([scores[name].reshape(-1) for name in names])
        kept = np.concatenate([mask[name].reshape(-1) for name in names])
        kept = _lowest(flat, kept, num_pruned(int(kept.sum()), fraction))
        ends = np.cumsum([mask[name].size for name in names])[:-1]
        for name, piece in zip(names, np.split(kept, ends), strict=True):
            result[name] = piece.reshape(mask[name].shape)
    return result


def prune(criterion: str, known: Mapping[str, Any], mask: Mask, fraction: float, scope: str) -> dict[str, np.ndarray]:
    """Prune the survivors that a criterion scores lowest.

    Args:
        criterion: its name in `criteria/`.
        known: what it may look at besides the mask, by the name of its argument: `weights`, `rng`, derivatives.
        mask: current mask.
        fraction: share of the survivors to prune, in (0, 1).
        scope: "global" ranks all layers together, "layer" each by itself.

    Returns:
        The next mask, a subset of `mask`.

    Raises:
        ValueError: the criterion looks at something that is not known here, or as for `drop`.
    """
    entry, known = registry.entries("criteria")[criterion], {"mask": mask, **known}
    if lacking := [name for name in entry.required if name not in known]:
        raise ValueError(
            f"criterion {criterion} must look at {', '.join(sorted(known))} alone here, got {lacking[0]}; choose another one"
        )
    return drop(criterion, entry.load()(**{name: known[name] for name in entry.required}), mask, fraction, scope)
