"""The nouns that every layer shares."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    import torch

    Tensors = Mapping[str, torch.Tensor]
    Mask = Mapping[str, np.ndarray]
else:
    Tensors = Mapping
    Mask = Mapping


Schedule = Callable[[int], float]  # from a step to the factor of the peak learning rate


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


@runtime_checkable
class Images(Protocol):
    """Images by number: a uint8 tensor (N, C, H, W) in memory, or files that are decoded when asked for."""

    @property
    def shape(self) -> Sequence[int]:
        """(N, C, H, W)."""

    def __getitem__(self, which: Any) -> torch.Tensor:
        """Return the images of a slice or of a tensor of numbers, as evaluation sees them: uint8, (n, C, H, W)."""


@dataclass(frozen=True)
class Split:
    """One part of a data set: `x` uint8 of shape (N, C, H, W), `y` int64 of shape (N,)."""

    x: Images
    y: torch.Tensor


@dataclass(frozen=True)
class Dataset:
    """A data set; `mean` and `std` are per channel, in units of the full uint8 range."""

    train: Split
    test: Split
    num_classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class Progress:
    """What the training loop tells after each step, without waiting for the device.

    The tensors are the loop's own: the next step overwrites them.

    Args:
        step: optimiser steps done since initialisation.
        loss: mini-batch loss, a scalar tensor.
        gradient: (num_params,) of that loss, pruned entries cleared, before momentum and weight decay.
        sums: what has added up since they were last cleared; `sums.take()` waits for the device.
        state: takes a copy of the state after the update.
    """

    step: int
    loss: torch.Tensor
    gradient: torch.Tensor
    sums: Sums
    state: Callable[[], State]


@runtime_checkable
class Sums(Protocol):
    """Running sums over the mini-batches of one run."""

    def take(self) -> tuple[float, float]:
        """Return the mean loss and the share of wrong predictions since the last call, and start again."""

    def get(self) -> list[float]:
        """Copy the sums, for going on later."""


@runtime_checkable
class Stream(Protocol):
    """Mini-batches of one run: batch t depends on the run's order and t alone."""

    def load(self, step: int) -> None:
        """Put what makes batch `step` into tensors that stay where they are; runs on the host."""

    def draw(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Make the loaded batch, inputs (batch, C, H, W) and labels (batch,), by work on the device alone."""


Monitor = Callable[[Progress], None]
