"""Rewinding: from an earlier state and a mask to the start of a run."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pipeline_lib.core.types import Mask
from pipeline_lib.pruning.masks import check_fit


def rewind(params: Mapping[str, np.ndarray], mask: Mask) -> dict[str, np.ndarray]:
    """Multiply a state's prunable tensors by the mask; biases and BatchNorm are kept as they are.

    Args:
        params: parameters of the state to return to.
        mask: kept entries; every tensor in it must exist with the same shape.

    Raises:
        ValueError: the mask does not fit.

    Source: paper B, Algorithm 2.
    """
    check_fit(mask, params)
    return {
        name: np.where(mask[name], tensor, 0).astype(tensor.dtype) if name in mask else tensor for name, tensor in params.items()
    }
