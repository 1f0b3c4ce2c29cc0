"""Other ways to do the steps of a cohort, each beside the pipeline's own: what the loop might do, before it is made to.

A step here is plain: SGD at a constant rate, parameters and gradients as views of flat vectors, no counters of BatchNorm.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap

from benchmarks.gpu.bench import NINE, Asked, members, rate, wait
from benchmarks.resnet20_train import DECAY, MOMENTUM, RATE
from pipeline_lib.core import algebra
from pipeline_lib.core.types import Dataset, Tensors
from pipeline_lib.training.cuda_graphs import WARM_UP, Replay, undisturbed
from pipeline_lib.training.loop import Member
from pipeline_lib.training.precision import Numerics

WAYS = ("recorded", "vmap", "one graph", "compiled")
PIECES = 48  # torch's fused optimiser gives a block 65,536 numbers: in one piece, ResNet-20 fills 5 of 132 multiprocessors
Forward = Callable[[Tensors, Tensors, Tensor, Tensor], Tensor]


def _forward(asked: Asked) -> Forward:
    network = asked.network().train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.num_batches_tracked = None

    def loss(params: Tensors, buffers: Tensors, x: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(functional_call(network, {**params, **buffers}, (x,)), y)

    return loss


def _own(buffers: Tensors) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in buffers.items() if not name.endswith("num_batches_tracked")}


def _optimiser(vector: Tensor, gradient: Tensor) -> torch.optim.Optimizer:
    size = -(-len(vector) // PIECES)
    pieces = list(vector.split(size))
    for piece, own in zip(pieces, gradient.split(size), strict=True):
        piece.grad = own
    return torch.optim.SGD(pieces, lr=RATE, momentum=MOMENTUM, weight_decay=DECAY, fused=True)


class _Own:
    """Parameters, gradients, statistics and optimiser of a step, in memory that stays where it is."""

    def __init__(self, params: Tensors, buffers: Tensors) -> None:
        vector = algebra.to_vector(params)
        self.params, self.buffers = algebra.views(vector, params), _own(buffers)
        self._kept = [(tensor, tensor.clone()) for tensor in (vector, *self.buffers.values())]
        gradient = torch.zeros_like(vector)
        self._into = list(algebra.views(gradient, params).values())
        self._optimiser, self.loss = _optimiser(vector, gradient), torch.zeros((), device=vector.device)

    def update(self, gradients: list[Tensor], loss: Tensor) -> None:
        torch._foreach_copy_(self._into, gradients)
        self._optimiser.step()
        self.loss.copy_(loss)

    @torch.no_grad()
    def again(self) -> None:
        """Begin again: recorded work finds all where it was."""
        for tensor, start in self._kept:
            tensor.copy_(start)
        for state in self._optimiser.state.values():
            state["momentum_buffer"].zero_()


class _Step:
    """One member's step."""

    def __init__(self, member: Member, how: Numerics, forward: Forward) -> None:
        self._own = _Own(how.lay_all(member.start.params), member.start.buffers)
        self._leaves = [tensor.requires_grad_() for tensor in self._own.params.values()]
        self._how, self._forward, self.stream = how, forward, member.stream
        self.again, self.loss = self._own.again, self._own.loss

    def load(self, step: int) -> None:
        self.stream.load(step)

    def __call__(self) -> None:
        x, y = self.stream.draw()
        with self._how.autocast(x.device):
            loss = self._forward(self._own.params, self._own.buffers, x, y)
        self._own.update(list(torch.autograd.grad(loss, self._leaves)), loss.detach())


class _Together:
    """All members' step as one: `vmap` makes grouped convolutions of theirs."""

    def __init__(self, cohort: list[Member], how: Numerics, forward: Forward) -> None:
        stacked = algebra.stack([member.start for member in cohort])
        self._own = _Own(stacked.params, stacked.buffers)
        self._how, self._forward, self._streams = how, forward, [member.stream for member in cohort]
        self.again, self.loss = self._own.again, self._own.loss

    def load(self, step: int) -> None:
        for stream in self._streams:
            stream.load(step)

    def __call__(self) -> None:
        drawn = [stream.draw() for stream in self._streams]
        x, y = (torch.stack([batch[i] for batch in drawn]) for i in (0, 1))
        with self._how.autocast(x.device):
            gradients, losses = vmap(grad_and_value(self._forward))(self._own.params, self._own.buffers, x, y)
        self._own.update([gradients[name] for name in self._own.params], losses[0])


class _Branches:
    """All members' steps as branches of one recorded graph."""

    def __init__(self, steps: list[_Step]) -> None:
        self._steps, self.loss = steps, steps[0].loss
        self._main, self._sides = torch.cuda.Stream(), [torch.cuda.Stream() for _ in steps]
        self._main.wait_stream(torch.cuda.current_stream())
        self._graph: torch.cuda.CUDAGraph | None = None
        self._calls = 0

    def load(self, step: int) -> None:
        with torch.cuda.stream(self._main):
            for each in self._steps:
                each.load(step)

    def again(self) -> None:
        for each in self._steps:
            each.again()

    def _work(self) -> None:
        for step, side in zip(self._steps, self._sides, strict=True):
            side.wait_stream(self._main)
            with torch.cuda.stream(side):
                step()
        for side in self._sides:
            self._main.wait_stream(side)

    def __call__(self) -> None:
        self._calls += 1
        with torch.cuda.stream(self._main):
            if self._calls <= WARM_UP:
                self._work()
                return
            if self._graph is None:
                self._graph = torch.cuda.CUDAGraph()
                with undisturbed(), torch.cuda.graph(self._graph, stream=self._main, capture_error_mode="thread_local"):
                    self._work()
            self._graph.replay()


Work = _Step | _Together | _Branches


def _works(way: str, num: int, dataset: Dataset, asked: Asked, how: Numerics) -> list[Work]:
    cohort, forward = members(num, dataset, asked, how.channels_last), _forward(asked)
    if way == "vmap":
        return [_Together(cohort, how, forward)]
    own = torch.compile(forward, dynamic=False) if way == "compiled" else forward
    steps = [_Step(member, how, own) for member in cohort]
    return [_Branches(steps)] if way == "one graph" else list(steps)


def _advance(way: str, works: list[Work], asked: Asked) -> Callable[[int], None]:
    recorded = way not in ("called", "one graph")
    queues = [Replay(asked.place) if recorded else None for _ in works]

    def advance(step: int) -> None:
        for work, queue in zip(works, queues, strict=True):
            with queue.queue() if queue else nullcontext():
                work.load(step)
                if queue:
                    queue(work)
                else:
                    work()

    return advance


def losses(way: str, dataset: Dataset, asked: Asked, how: Numerics) -> Tensor:
    """Give the losses of the first member's first two steps, taken by what is recorded by then: the work that `pace` times."""
    works = _works(way, 3, dataset, asked, how)
    advance, found = _advance(way, works, asked), list[float]()
    for step in range(WARM_UP + 1):
        advance(step)
    wait(asked.place)
    for work in works:
        work.again()
    wait(asked.place)
    for step in range(2):
        advance(step)
        wait(asked.place)
        found.append(float(works[0].loss))
    return torch.tensor(found, dtype=torch.float64)


def pace(way: str, dataset: Dataset, asked: Asked, how: Numerics, num: int = NINE) -> float:
    """Measure the steps a second of a cohort, all members together."""
    advance, steps = _advance(way, _works(way, num, dataset, asked, how), asked), itertools.count()
    return rate(lambda: advance(next(steps)), num, asked)
