"""A run's parameters and their gradient, each one flat vector: what acts on all of them is one pass over memory."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from pipeline_lib.core import algebra
from pipeline_lib.core.types import Tensors


class Weights:
    """The parameters that one run changes, in memory that stays where it is.

    Args:
        params: what to begin from, in the memory layout of training; they are copied.
        halved: names of those that passes see in bfloat16. They are cast together, and so are their gradients, where autocast
            would cast each by itself to the same numbers.
    """

    def __init__(self, params: Tensors, halved: Collection[str] = ()) -> None:
        self._layouts = [algebra.is_channels_last(tensor) for tensor in params.values()]
        self.vector = algebra.to_vector(params)
        self.params = algebra.views(self.vector, params)
        self.gradient = torch.zeros_like(self.vector)
        self._are_halved = [name in halved for name in params]
        self._half = self.vector.to(torch.bfloat16) if halved else None
        seen = self.params
        if self._half is not None:
            seen = seen | {name: half for name, half in algebra.views(self._half, params).items() if name in halved}
        self._seen = {name: tensor.requires_grad_() for name, tensor in seen.items()}

    def seen(self) -> dict[str, Tensor]:
        """Give the parameters as a pass sees them, by name; gradients are taken in these, in this order."""
        if self._half is not None:
            self._half.copy_(self.vector)
        return self._seen

    def collect(self, gradients: Sequence[Tensor]) -> None:
        """Put the gradients in what was seen into the flat gradient."""
        pieces = algebra.flat(gradients, self._layouts)
        if self._half is not None:
            halves = [piece for piece, is_half in zip(pieces, self._are_halved, strict=True) if is_half]
            whole = iter(torch.cat(halves).float().split([len(half) for half in halves]))
            pieces = [next(whole) if is_half else piece for piece, is_half in zip(pieces, self._are_halved, strict=True)]
        torch.cat(pieces, out=self.gradient)
