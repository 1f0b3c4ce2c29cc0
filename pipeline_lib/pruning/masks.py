"""Masks: which prunable weights survive.

A mask is a dict of boolean arrays over the prunable tensors only, True = kept. Masks are numpy arrays, because the
jobs that make and apply them are shorter than an import of torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pipeline_lib.core.types import Mask


def ones(shapes: Mapping[str, Sequence[int]]) -> dict[str, np.ndarray]:
    """Make the mask that keeps every weight of tensors of these shapes."""
    return {name: np.ones(shape, dtype=bool) for name, shape in shapes.items()}


def num_kept(mask: Mask) -> int:
    """Count the surviving weights.

    Args:
        mask: kept entries by tensor.

    Returns:
        Their number.

    Example:
        >>> num_kept(mask), num_kept(mask) / density(mask)
        (296, 592.0)
    """
    return int(sum(np.count_nonzero(keep) for keep in mask.values()))


def num_empty(mask: Mask) -> int:
    """Count the layers without a surviving weight: such a layer passes nothing on (layer collapse)."""
    return sum(not np.any(keep) for keep in mask.values())


def ended(members: Sequence[Mask], diverged: Sequence[bool], before: Sequence[bool] = ()) -> dict[str, list[bool]]:
    """Tell of each member's mask whether its ladder has ended: because a run has diverged, or because no weight is left.

    Args:
        members: a mask each.
        diverged: whether what the mask comes from has ended.
        before: whether that was because no weight was left; none for the first masks of ladders.

    Returns:
        For a mask's header: `diverged` for either reason, after which nothing is trained or measured, and `empty` for the second.
    """
    was = before or [False] * len(members)
    empty = [once or (not lost and num_kept(mask) == 0) for mask, lost, once in zip(members, diverged, was, strict=True)]
    return {"diverged": [lost or bare for lost, bare in zip(diverged, empty, strict=True)], "empty": empty}


def density(mask: Mask) -> float:
    """Compute the share of prunable weights that survive: `sum m / size of m`.

    Args:
        mask: kept entries by tensor.

    Returns:
        The share, in [0, 1].

    Example:
        >>> density(mask), density(shuffled(mask, np.random.default_rng(0)))
        (0.5, 0.5)
    """
    return num_kept(mask) / sum(keep.size for keep in mask.values())


def check_fit(mask: Mask, tensors: Mapping[str, np.ndarray]) -> None:
    """Check that every masked tensor exists with the mask's shape.

    Raises:
        ValueError: naming the first tensor that does not fit.
    """
    for name, keep in mask.items():
        if name not in tensors:
            raise ValueError(f"mask must fit the network, got a mask of {name!r}, which it lacks; use its own mask")
        if tuple(tensors[name].shape) != tuple(keep.shape):
            raise ValueError(
                f"mask of {name!r} must have shape {tuple(tensors[name].shape)}, got {tuple(keep.shape)}; "
                "use a mask made for this network"
            )


def shuffled(mask: Mask, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Permute a mask inside each layer: the random-pruning control with the same per-layer counts.

    Args:
        mask: kept entries by tensor.
        rng: where the permutations come from; drawing moves it on.

    Returns:
        A mask of the same shapes and counts.

    Example:
        >>> control = shuffled(mask, np.random.default_rng(0))
        >>> [int(control[name].sum() - keep.sum()) for name, keep in mask.items()]
        [0, 0]

    Source: paper B, section 4; the layer-wise reading is ambiguity B-X3.
    """
    return {name: rng.permutation(keep.reshape(-1)).reshape(keep.shape) for name, keep in mask.items()}
