"""Training any module by any loss, by hand.

`loop` is what the workflow trains with, and its definitions are part of the keys of all that was trained: what a notebook brings
along (a loss, inputs of any shape, torch's optimisers over a module's own parameters) is trained here, by the plain loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from pipeline_lib.core.rng import derive
from pipeline_lib.core.types import Mask, Schedule
from pipeline_lib.training.batches import Order, epoch_batches

Loss = Callable[[Tensor, Tensor], Tensor]
MakeOptimiser = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


@dataclass(frozen=True)
class Fit:
    """How to train.

    Args:
        loss: of outputs and targets, the mean over a batch.
        make_optimiser: parameters -> optimiser; its learning rates are the peaks of the schedule.
        schedule: step -> factor of the peak rates for the update at that step.
        mask: kept entries by parameter, or None.
    """

    loss: Loss
    make_optimiser: MakeOptimiser
    schedule: Schedule
    mask: Mask | None


def _examples(data: object) -> tuple[int, Callable[[Tensor], tuple[Tensor, Tensor]]]:
    """Count the examples of a data set, and make what collects those of some numbers to a batch."""
    if isinstance(data, DataLoader) and isinstance(data.dataset, Sized):
        loader = data
        collate = loader.collate_fn or torch.utils.data.default_collate
        return len(data.dataset), lambda chosen: tuple(collate([loader.dataset[int(i)] for i in chosen]))
    if isinstance(data, tuple) and len(data) == 2 and all(isinstance(part, Tensor) for part in data):
        x, y = data
        if len(x) != len(y):
            raise ValueError(f"inputs must have a target each, got {len(x)} inputs and {len(y)} targets; leave the rest out")
        return len(y), lambda chosen: (x[chosen.to(x.device)], y[chosen.to(y.device)])
    rule = "data to train on must be two tensors (inputs, targets) or a DataLoader over a data set that has a length"
    raise ValueError(f"{rule}, got {type(data).__name__}; batch t is drawn from (seed, order, t), so examples need numbers")


def stream(data: object, order: Order, batch_size: int) -> Callable[[int], tuple[Tensor, Tensor]]:
    """Make what gives batch t of a run, which depends on the run's order and t alone.

    Args:
        data: two tensors (inputs, targets), or a DataLoader, of which the data set and how it collates examples count.
        order: (seed, order) of the replicate.
        batch_size: examples a batch; the last partial one of an epoch is dropped.

    Raises:
        ValueError: the data have no numbers, fewer examples than a batch, or not a target each.
    """
    num, collect = _examples(data)
    if not 1 <= batch_size <= num:
        raise ValueError(f"batch_size must be in [1, {num}], got {batch_size}; there are so many examples")
    drawn: dict[int, Tensor] = {}

    def batch(step: int) -> tuple[Tensor, Tensor]:
        epoch, position = divmod(step, num // batch_size)
        if epoch not in drawn:
            drawn.clear()
            drawn[epoch] = epoch_batches(order, epoch, num, batch_size)
        return collect(drawn[epoch][position])

    return batch


@contextmanager
def _named_draws(device: torch.device) -> Iterator[None]:
    """Leave the global random numbers, which dropout draws from, as they were."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield


def fit(network: nn.Module, batches: Callable[[int], tuple[Tensor, Tensor]], how: Fit, order: Order, steps: range) -> None:
    """Train a module in place, from step `steps.start` to `steps.stop`.

    Pruned entries are zero at the start and stay zero: their gradients are cleared before the optimiser sees them. What draws
    from torch's global random numbers, such as dropout, depends on (seed, order, t) alone, and leaves them as they were.

    Args:
        network: what to train; its device decides.
        batches: gives batch t.
        how: the recipe.
        order: (seed, order) of the replicate.
        steps: numbers of the steps.

    Raises:
        ValueError: the loss is not finite at the end.
    """
    params = dict(network.named_parameters())
    device = next(iter(params.values())).device
    kept = {name: torch.from_numpy(np.asarray(keep)).to(device) for name, keep in (how.mask or {}).items()}
    with torch.no_grad():
        for name, keep in kept.items():
            params[name].mul_(keep)
    optimiser = how.make_optimiser(params.values())
    peaks = [group["lr"] for group in optimiser.param_groups]
    loss = torch.zeros(())
    network.train()
    with _named_draws(device), torch.enable_grad():
        for step in steps:
            torch.manual_seed(derive("by hand", *order, step))
            for group, peak in zip(optimiser.param_groups, peaks, strict=True):
                group["lr"] = peak * how.schedule(step)
            x, y = batches(step)
            optimiser.zero_grad()
            loss = how.loss(network(x.to(device)), y.to(device))
            loss.backward()
            for name, keep in kept.items():
                gradient = params[name].grad
                if gradient is not None:
                    gradient.mul_(keep)
            optimiser.step()
    if not all(bool(torch.isfinite(each).all()) for each in (loss, *params.values())):
        raise ValueError(f"training must stay finite, got none before step {steps.stop}; lower the learning rate")
    optimiser.zero_grad()
