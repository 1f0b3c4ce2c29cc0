"""Other ways to do the steps of a cohort, each beside the pipeline's own: what the loop might do, before it is made to.

A step here is plain: SGD at a constant rate, parameters and gradients as views of flat vectors, no counters of BatchNorm.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap

from benchmarks.gpu.bench import NINE, Asked, members, rate, wait
from benchmarks.resnet20_train import DECAY, MOMENTUM, RATE
from pipeline_lib.core import algebra
from pipeline_lib.core.types import Dataset, Tensors
from pipeline_lib.training.cuda_graphs import WARM_UP, Replay
from pipeline_lib.training.loop import Member
from pipeline_lib.training.precision import Numerics

WAYS = ("recorded", "compiled", "vmap", "one graph")
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


class _Step:
    """One member's step."""

    def __init__(self, member: Member, how: Numerics, forward: Forward) -> None:
        like = how.lay_all(member.start.params)
        vector = algebra.to_vector(like)
        self._params, self._buffers = algebra.views(vector, like), _own(member.start.buffers)
        self._leaves = [tensor.requires_grad_() for tensor in self._params.values()]
        gradient = torch.zeros_like(vector)
        self._into = list(algebra.views(gradient, like).values())
        self._optimiser, self._how, self._forward = _optimiser(vector, gradient), how, forward
        self.stream, self.loss = member.stream, torch.zeros((), device=vector.device)

    def load(self, step: int) -> None:
        self.stream.load(step)

    def __call__(self) -> None:
        x, y = self.stream.draw()
        with self._how.autocast(x.device):
            loss = self._forward(self._params, self._buffers, x, y)
        torch._foreach_copy_(self._into, list(torch.autograd.grad(loss, self._leaves)))
        self._optimiser.step()
        self.loss.copy_(loss.detach())


class _Together:
    """All members' step as one: `vmap` makes grouped convolutions of theirs."""

    def __init__(self, cohort: list[Member], how: Numerics, forward: Forward) -> None:
        stacked = algebra.stack([member.start for member in cohort])
        vector = algebra.to_vector(stacked.params)
        self._params, self._buffers = algebra.views(vector, stacked.params), _own(stacked.buffers)
        gradient = torch.zeros_like(vector)
        self._into = list(algebra.views(gradient, stacked.params).values())
        self._optimiser, self._how, self._forward = _optimiser(vector, gradient), how, forward
        self._streams, self.loss = [member.stream for member in cohort], torch.zeros((), device=vector.device)

    def load(self, step: int) -> None:
        for stream in self._streams:
            stream.load(step)

    def __call__(self) -> None:
        drawn = [stream.draw() for stream in self._streams]
        x, y = (torch.stack([batch[i] for batch in drawn]) for i in (0, 1))
        with self._how.autocast(x.device):
            gradients, losses = vmap(grad_and_value(self._forward))(self._params, self._buffers, x, y)
        torch._foreach_copy_(self._into, [gradients[name] for name in self._params])
        self._optimiser.step()
        self.loss.copy_(losses[0])


class _Branches:
    """All members' steps as branches of one recorded graph."""

    def __init__(self, steps: list[_Step]) -> None:
        self._steps, self.loss = steps, steps[0].loss
        self._main, self._sides = torch.cuda.Stream(), [torch.cuda.Stream() for _ in steps]
        self._graph: torch.cuda.CUDAGraph | None = None
        self._calls = 0

    def load(self, step: int) -> None:
        with torch.cuda.stream(self._main):
            for each in self._steps:
                each.load(step)

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
            with torch.cuda.graph(self._graph, stream=self._main, capture_error_mode="thread_local"):
                self._work()
        with torch.cuda.stream(self._main):
            self._graph.replay()


Work = _Step | _Together | _Branches


def _works(way: str, num: int, dataset: Dataset, asked: Asked, how: Numerics) -> list[Work]:
    cohort, forward = members(num, dataset, asked, how.channels_last), _forward(asked)
    if way == "vmap":
        return [_Together(cohort, how, forward)]
    own = torch.compile(forward, dynamic=False) if way == "compiled" else forward
    steps = [_Step(member, how, own) for member in cohort]
    return [_Branches(steps)] if way == "one graph" else list(steps)


def _advance(way: str, works: list[Work], asked: Asked) -> Callable[[], None]:
    step = itertools.count()
    recorded = way not in ("called", "one graph")
    calls = [Replay(work, asked.place) if recorded else work for work in works]

    def advance() -> None:
        at = next(step)
        for work, call in zip(works, calls, strict=True):
            if isinstance(call, Replay):
                with call.queue():
                    work.load(at)
                    call()
            else:
                work.load(at)
                call()

    return advance


def losses(way: str, dataset: Dataset, asked: Asked, how: Numerics) -> Tensor:
    """Give the losses of the first member's first two steps."""
    works = _works(way, 3, dataset, asked, how)
    advance, found = _advance(way, works, asked), list[float]()
    for _ in range(2):
        advance()
        wait(asked.place)
        found.append(float(works[0].loss))
    return torch.tensor(found, dtype=torch.float64)


def pace(way: str, dataset: Dataset, asked: Asked, how: Numerics, num: int = NINE) -> float:
    """Measure the steps a second of a cohort, all members together."""
    return rate(_advance(way, _works(way, num, dataset, asked, how), asked), num, asked)
