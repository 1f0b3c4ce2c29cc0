"""What phases share: sizes, data, members, and clocks that a device which works while the host waits cannot cheat."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks import cifar_shaped
from benchmarks.resnet20_train import recipe
from pipeline_lib.core import algebra
from pipeline_lib.core.types import Dataset, Monitor, Progress, State
from pipeline_lib.networks.resnet import resnet_cifar
from pipeline_lib.training.batches import stream
from pipeline_lib.training.initialisers.kaiming import kaiming_normal
from pipeline_lib.training.loop import Member, train
from pipeline_lib.training.precision import Numerics

PRECISIONS = ("fp32", "tf32", "bf16")
NINE = 9
EVERY = 50  # steps of all members between looks at the clock
END = 10**6  # a step that no timed run reaches


@dataclass(frozen=True)
class Asked:
    """What a phase is told.

    Args:
        place: the device.
        out: folder for what goes home.
        work: folder outside the checkout, with what was carried here.
        left: seconds until this phase is ended.
        tiny: for a rehearsal on a CPU.
    """

    place: torch.device
    out: Path
    work: Path
    left: float
    tiny: bool

    @property
    def batch(self) -> int:
        return 8 if self.tiny else cifar_shaped.BATCH

    @property
    def precisions(self) -> tuple[str, ...]:
        return PRECISIONS[::2] if self.tiny else PRECISIONS

    @property
    def span(self) -> float:
        """Seconds that one speed is measured for."""
        return 0.01 if self.tiny else 1.5

    def network(self) -> nn.Sequential:
        """Build ResNet-20; for a rehearsal a small one of its kind."""
        return resnet_cifar(cifar_shaped.SHAPE, 10, blocks=1, width=4) if self.tiny else cifar_shaped.network()

    def start(self, seed: int) -> State:
        """Draw an initial state."""
        return kaiming_normal(self.network(), torch.Generator().manual_seed(seed))

    def dataset(self) -> Dataset:
        """Draw random images in CIFAR-10's shape."""
        return cifar_shaped.dataset(16, 16, self.place) if self.tiny else cifar_shaped.dataset(50_000, 10_000, self.place)


def numerics(precision: str, channels_last: bool = True) -> Numerics:
    """Choose how to compute, and set how the GPU multiplies float32."""
    chosen = Numerics(precision, channels_last)
    chosen.allow()
    return chosen


def wait(place: torch.device) -> None:
    """Wait until the device is at rest."""
    if place.type == "cuda":
        torch.cuda.synchronize()


def members(num: int, dataset: Dataset, asked: Asked, channels_last: bool, monitor: Monitor | None = None) -> list[Member]:
    """Make members of a cohort, each with its own weights and order."""
    return [
        Member(
            algebra.moved(asked.start(i), asked.place),
            None,
            stream(dataset, (i, 0), asked.batch, cifar_shaped.PAD, flip=True, channels_last=channels_last),
            monitor,
        )
        for i in range(num)
    ]


def trained(num: int, dataset: Dataset, asked: Asked, how: Numerics, steps: int, monitor: Monitor | None = None) -> list[State]:
    """Train by the pipeline's loop."""
    made = members(num, dataset, asked, how.channels_last, monitor)
    return [each.state for each in train(asked.network(), made, recipe(how), steps)]


def whole(state: State) -> Tensor:
    """Give all that training changed as one vector."""
    tensors = [*state.params.values(), *(t for n, t in state.buffers.items() if not n.endswith("num_batches_tracked"))]
    return torch.cat([tensor.detach().double().cpu().reshape(-1) for tensor in tensors])


def apart(found: Tensor, other: Tensor) -> float:
    """Give the relative distance of two vectors."""
    return float((found - other).norm() / other.norm())


class _TimeIsOverError(Exception):
    """Ends a run whose speed is known."""


class Clock:
    """Monitor of all members: counts their steps between moments in which the device is at rest, and ends training after a time.

    Args:
        place: the device.
        seconds: how long.
        warm_up: steps before the first moment.
    """

    def __init__(self, place: torch.device, seconds: float, warm_up: int) -> None:
        self._place, self._seconds, self._left = place, seconds, warm_up
        self.steps, self.spent, self.host, self._begun, self._seen = 0, 0.0, 0.0, 0.0, 0

    def __call__(self, progress: Progress) -> None:
        self._seen += 1
        if self._left and self._seen < self._left:
            return
        if self._left:
            wait(self._place)
            self._left, self._seen, self._begun = 0, 0, time.perf_counter()
        elif self._seen % EVERY == 0 or self._place.type == "cpu":
            sent = time.perf_counter()
            wait(self._place)
            self.host += sent - self._begun - self.spent
            self.steps, self.spent = self._seen, time.perf_counter() - self._begun
            if self.spent >= self._seconds:
                raise _TimeIsOverError


def pace(num: int, dataset: Dataset, asked: Asked, how: Numerics) -> dict[str, float]:
    """Measure the steps a second of a cohort, all members together, and the host's share of the time."""
    clock = Clock(asked.place, asked.span, 2 if asked.tiny else 10 * num)
    with suppress(_TimeIsOverError):
        trained(num, dataset, asked, how, END, clock)
    return {"steps_a_second": clock.steps / clock.spent, "host_share": clock.host / clock.spent}


def rate(work: Callable[[], object], num: int, asked: Asked) -> float:
    """Measure how many of `num` things a call does are done in a second."""
    for _ in range(1 if asked.tiny else 5):
        work()
    wait(asked.place)
    begun, done = time.perf_counter(), 0
    while time.perf_counter() - begun < asked.span:
        for _ in range(1 if asked.tiny else 10):
            work()
            done += num
        wait(asked.place)
    return done / (time.perf_counter() - begun)
