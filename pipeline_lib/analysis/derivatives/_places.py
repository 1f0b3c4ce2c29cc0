"""A vector over the surviving weights, back in place."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pipeline_lib.core.types import Mask


def by_layer(vector: Float[Tensor, " num_kept"], mask: Mask) -> dict[str, Tensor]:
    """Cut a vector over the survivors, in the mask's order, into tensors of the mask's shapes with zeros where it prunes."""
    flat = torch.from_numpy(np.concatenate([keep.reshape(-1) for keep in mask.values()]))
    index = flat.nonzero()[:, 0].to(vector.device)
    pieces = vector.new_zeros(len(flat)).index_copy_(0, index, vector).split([keep.size for keep in mask.values()])
    return {name: piece.view(keep.shape) for (name, keep), piece in zip(mask.items(), pieces, strict=True)}
