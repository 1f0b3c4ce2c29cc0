"""The training loop: the only one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from pipeline_lib.core import algebra
from pipeline_lib.core.types import Mask, Monitor, Progress, Schedule, State, Stream, Tensors
from pipeline_lib.training import optimiser_state
from pipeline_lib.training.cuda_graphs import Replay
from pipeline_lib.training.precision import Numerics
from pipeline_lib.training.weights import Weights

MakeOptimiser = Callable[[Tensor], torch.optim.Optimizer]

CHECK_EVERY = 100  # steps between checks that the weights are finite
AUXILIARY_WEIGHT = 0.4  # of the second head's loss. Source: Szegedy et al., 2016


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Args:
        make_optimiser: flat vector -> optimiser; its learning rate is the peak of the schedule.
        schedule: step -> factor of the peak rate for the update at that step.
        numerics: precision and memory layout.
    """

    make_optimiser: MakeOptimiser
    schedule: Schedule
    numerics: Numerics = field(default_factory=Numerics)


@dataclass(frozen=True)
class Member:
    """One of the runs that train side by side.

    Args:
        start: parameters, buffers, step and optimiser slots to begin from; it is not changed. It decides the device.
        mask: kept entries by prunable tensor, or None. Pruned entries must be zero in `start` and stay exactly zero: their
            gradients are cleared before the optimiser sees them, so momentum and weight decay have nothing to work on.
        stream: mini-batches, on the same device.
        monitor: called after each step.
        sums: running sums to go on from, as `Progress.sums.get()` gave them.
    """

    start: State
    mask: Mask | None
    stream: Stream
    monitor: Monitor | None = None
    sums: Sequence[float] | None = None


@dataclass(frozen=True)
class Trained:
    """What a run came to: its last state with the optimiser's slots, and its last step of finite loss if it diverged."""

    state: State
    last_finite: int | None = None


class _Sums:
    """Loss and wrong predictions since the last `take`, and steps with finite losses so far; values stay on the device."""

    def __init__(self, device: torch.device, values: Sequence[float] | None) -> None:
        loss, self._wrong_before, self._seen, finite = values or [0.0] * 4
        # float64, so that writing them down and reading them back changes nothing.
        self._loss, self._finite = torch.tensor([loss, finite], dtype=torch.float64, device=device).unbind()
        self._wrong = torch.zeros(0, dtype=torch.int64, device=device)  # for each place of a batch
        self._batch_size = 0

    def add(self, loss: Tensor, logits: Tensor, y: Tensor) -> None:
        """Add up a step, by work on the device alone."""
        if not self._batch_size:
            self._batch_size, self._wrong = len(y), torch.zeros_like(y)
        self._loss.add_(loss, alpha=len(y))
        self._wrong.add_(logits.argmax(1) != y)
        # A sum of losses that is not finite stays so.
        self._finite.add_(self._loss < math.inf)

    def count(self) -> None:
        """Count the examples of a step."""
        self._seen += self._batch_size

    def get(self) -> list[float]:
        wrong = self._wrong_before + int(self._wrong.sum())
        return [float(self._loss), wrong, self._seen, float(self._finite)]

    def take(self) -> tuple[float, float]:
        loss, wrong, seen, _ = self.get()
        self._loss.zero_()
        self._wrong.zero_()
        self._wrong_before = self._seen = 0.0
        return loss / seen, wrong / seen

    def num_finite(self) -> int:
        return int(self._finite)


def _counts(network: nn.Module, name: str) -> bool:
    """Tell whether a buffer counts the batches of a BatchNorm that does not read it, one a step."""
    owner, _, own = name.rpartition(".")
    return own == "num_batches_tracked" and network.get_submodule(owner).momentum is not None


def _flat_mask(mask: Mask | None, params: Tensors) -> Tensor | None:
    if mask is None:
        return None
    kept = {name: torch.ones_like(tensor) for name, tensor in params.items()}
    for name, keep in mask.items():
        kept[name].copy_(torch.from_numpy(np.asarray(keep)))
    return algebra.to_vector(kept)


class _Run:
    """One member's tensors, which stay where they are, and the step that changes them."""

    def __init__(self, network: nn.Module, member: Member, recipe: Recipe) -> None:
        start = member.start
        self.step, self._network, self._member, self._recipe = start.step, network, member, recipe
        like = recipe.numerics.lay_all(start.params)
        self._weights = Weights(like, recipe.numerics.halved(network))
        vector = self._weights.vector
        self._buffers = {name: None if _counts(network, name) else tensor.clone() for name, tensor in start.buffers.items()}
        self._kept = _flat_mask(member.mask, like)
        self._loss, self._one = torch.zeros((), device=vector.device), torch.ones((), dtype=vector.dtype, device=vector.device)
        self.sums = _Sums(vector.device, member.sums)
        vector.grad = self._weights.gradient
        self._optimiser = recipe.make_optimiser(vector)
        if vector.is_cuda:
            optimiser_state.divide(self._optimiser, vector)
        optimiser_state.set_slots(self._optimiser, dict(start.slots))
        self._set_rate = optimiser_state.rate_setter(self._optimiser, vector.device)
        self._replay = Replay(vector.device)

    def _losses(self, output: Tensor | tuple[Tensor, Tensor], y: Tensor) -> tuple[Tensor, Tensor]:
        if isinstance(output, tuple):
            logits, auxiliary = output
            return F.cross_entropy(logits, y) + AUXILIARY_WEIGHT * F.cross_entropy(auxiliary, y), logits
        return F.cross_entropy(output, y), output

    def _update(self) -> None:
        """Do one step, on the device alone."""
        x, y = self._member.stream.draw()
        with self._recipe.numerics.autocast(x.device):
            params = self._weights.seen()
            output = functional_call(self._network, {**params, **self._buffers}, (x,))  # type: ignore[dict-item]
            loss, logits = self._losses(output, y)
        self._weights.collect(torch.autograd.grad(loss, list(params.values()), self._one))
        if self._kept is not None:
            self._weights.gradient.mul_(self._kept)
        self._optimiser.step()
        self._loss.copy_(loss.detach())
        self.sums.add(loss.detach(), logits.detach(), y)

    def advance(self) -> None:
        """Do the next step and report it."""
        with self._replay.queue():
            self._member.stream.load(self.step)
            self._set_rate(self._recipe.schedule(self.step))
            self._replay(self._update)
            self.sums.count()
            self.step += 1
            if self._member.monitor:
                state = partial(self.state, self.step)
                self._member.monitor(Progress(self.step, self._loss, self._weights.gradient, self.sums, state))

    def state(self, step: int) -> State:
        """Copy the state, in plain memory layout."""
        own = self._weights.params
        params = {name: tensor.detach().clone(memory_format=torch.contiguous_format) for name, tensor in own.items()}
        begin, buffers = self._member.start, {}
        for name, tensor in self._buffers.items():
            buffers[name] = begin.buffers[name] + (step - begin.step) if tensor is None else tensor.clone()
        return State(params, buffers, step, optimiser_state.get_slots(self._optimiser))

    def has_diverged(self) -> bool:
        """Tell whether a weight is no longer finite; waits for the device."""
        with self._replay.queue():
            return not bool(torch.isfinite(self._weights.vector).all())

    def outcome(self, until: int) -> Trained:
        """Return the final state; of a diverged run its start, so that what follows works with numbers."""
        with self._replay.queue():
            if self.step == until and not self.has_diverged():
                state = self.state(until)
                self._replay.finish()
                return Trained(state)
            start = self._member.start
            return Trained(State(start.params, start.buffers, until), start.step + self.sums.num_finite())


def _side_by_side(members: Sequence[Member]) -> bool:
    return bool(members) and next(iter(members[0].start.params.values())).is_cuda


def train(network: nn.Module, members: Sequence[Member], recipe: Recipe, until: int) -> list[Trained]:
    """Train each member from its own step to step `until`.

    Stopping anywhere and going on gives the same bits as a straight run. On a CPU members train one after the other; on a
    CUDA device side by side, each in its own queue, as recorded kernels that do not wait for the host. A member's result does not
    depend on the others.

    Args:
        network: a stateless template; only its structure is used.
        members: what to train.
        recipe: how.
        until: the step to reach.

    Returns:
        One result a member. A run whose weights are no longer finite at a multiple of `CHECK_EVERY` steps ends there.

    Raises:
        ValueError: `until` lies before a start.
    """
    for member in members:
        if until < member.start.step:
            raise ValueError(f"until must be at least the start's step {member.start.step}, got {until}; train only goes forward")
    network.train()
    groups = [members] if _side_by_side(members) else [[member] for member in members]
    done: list[Trained] = []
    for group in groups:
        runs = [_Run(network, member, recipe) for member in group]
        going = [run for run in runs if run.step < until]
        while going:
            for run in going:
                run.advance()
            # Members that resume from different steps are all at the same step in the end.
            going = [r for r in going if r.step < until and not (r.step % CHECK_EVERY == 0 and r.has_diverged())]
        done += [run.outcome(until) for run in runs]
    return done
