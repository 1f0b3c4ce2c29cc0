"""Masks: which prunable weights survive.

A mask is a dict of boolean arrays over the prunable tensors only, True = kept. Masks are numpy arrays, because the
jobs that make and apply them are shorter than an import of torch.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pipeline_lib.types import Mask


def num_kept(mask: Mask) -> int:
    """Count the surviving weights."""
    return int(sum(np.count_nonzero(keep) for keep in mask.values()))


def density(mask: Mask) -> float:
    """Compute the share of prunable weights that survive, in [0, 1]."""
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
