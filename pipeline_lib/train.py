"""The training loop: the only one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from pipeline_lib import optim, tree
from pipeline_lib.batches import Batches
from pipeline_lib.schedules import Schedule
from pipeline_lib.types import Mask, Monitor, Progress, State

MakeOptimiser = Callable[[Tensor], torch.optim.Optimizer]


def _flat_mask(mask: Mask | None, params: dict[str, Tensor]) -> Tensor | None:
    if mask is None:
        return None
    kept = {name: torch.ones_like(tensor) for name, tensor in params.items()}
    for name, keep in mask.items():
        kept[name].copy_(torch.from_numpy(np.asarray(keep)))
    return tree.to_vector(kept)


def train(
    network: nn.Module,
    start: State,
    mask: Mask | None,
    batches: Batches,
    make_optimiser: MakeOptimiser,
    schedule: Schedule,
    until: int,
    monitor: Monitor | None = None,
) -> State:
    """Train from `start.step` to step `until`; stopping anywhere and going on gives the same bits as a straight run.

    Args:
        network: a stateless template; only its structure is used.
        start: parameters, buffers, step and optimiser slots to begin from; it is not changed.
        mask: kept entries by prunable tensor, or None. Pruned entries must be zero in `start` and stay exactly zero: their
            gradients are cleared before the optimiser sees them, so momentum and weight decay have nothing to work on.
        batches: step -> (inputs, labels).
        make_optimiser: flat vector -> optimiser; its learning rate is the peak of the schedule.
        schedule: step -> factor of the peak rate for the update at that step.
        until: the step to reach.
        monitor: called after each step.

    Returns:
        The state at step `until`, with the optimiser's slots.

    Raises:
        ValueError: `until` lies before the start.
    """
    if until < start.step:
        raise ValueError(f"until must be at least the start's step {start.step}, got {until}; train only goes forward")
    vector = tree.to_vector(start.params)
    params = tree.views(vector, start.params)
    leaves = [tensor.requires_grad_() for tensor in params.values()]
    buffers = {name: tensor.clone() for name, tensor in start.buffers.items()}
    tensors = {**params, **buffers}
    kept = _flat_mask(mask, params)
    gradient = vector.grad = torch.empty_like(vector)
    optimiser = make_optimiser(vector)
    optim.set_slots(optimiser, vector, dict(start.slots))
    peak = optimiser.param_groups[0]["lr"]

    def state_at(step: int) -> State:
        snapshot = {name: tensor.clone() for name, tensor in tree.views(vector, start.params).items()}
        return State(snapshot, {n: t.clone() for n, t in buffers.items()}, step, optim.get_slots(optimiser, vector))

    network.train()
    for step in range(start.step, until):
        x, y = batches(step)
        logits = functional_call(network, tensors, (x,))
        loss = F.cross_entropy(logits, y)
        torch.cat([g.reshape(-1) for g in torch.autograd.grad(loss, leaves)], out=gradient)
        if kept is not None:
            gradient.mul_(kept)
        optimiser.param_groups[0]["lr"] = peak * schedule(step)
        optimiser.step()
        if monitor:
            monitor(Progress(step + 1, loss.detach(), logits.detach(), y, partial(state_at, step + 1)))
    return state_at(until)
