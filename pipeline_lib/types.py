"""The nouns that every layer shares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch

    Tensors = Mapping[str, torch.Tensor]
    Mask = Mapping[str, np.ndarray]
else:
    Tensors = Mapping
    Mask = Mapping


@dataclass(frozen=True)
class State:
    """Everything that one network is at one step.

    Args:
        params: trainable tensors by name.
        buffers: BatchNorm statistics by name, empty for networks without them.
        step: number of optimiser steps taken since initialisation.
        slots: the optimiser's own tensors over the flat parameter vector; empty at a fresh start.
    """

    params: Tensors
    buffers: Tensors = field(default_factory=dict)
    step: int = 0
    slots: Tensors = field(default_factory=dict)


@dataclass(frozen=True)
class Progress:
    """What the training loop tells after each step, without waiting for the device.

    Args:
        step: optimiser steps done since initialisation.
        loss: mini-batch loss, a scalar tensor.
        logits: (batch, classes) before the update.
        y: (batch,) labels.
        state: takes a copy of the state after the update.
    """

    step: int
    loss: torch.Tensor
    logits: torch.Tensor
    y: torch.Tensor
    state: Callable[[], State]


@dataclass(frozen=True)
class Split:
    """One part of a data set: `x` uint8 of shape (N, C, H, W), `y` int64 of shape (N,)."""

    x: torch.Tensor
    y: torch.Tensor


@dataclass(frozen=True)
class Dataset:
    """A data set in memory; `mean` and `std` are per channel, in units of the full uint8 range."""

    train: Split
    test: Split
    num_classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


Monitor = Callable[[Progress], None]
