"""Training ResNet-20: our loop, in channels-last order, beside the usual one. On the CPU, whatever else there is.

Each works in a process of its own, ours with the allocator as a job's process has it.
"""

from __future__ import annotations

import itertools
from functools import partial
from typing import cast

import torch
import torch.nn.functional as F

from benchmarks import cifar_shaped, machine
from benchmarks.measure import Line, Work, apart, compare, interleave, left_out
from pipeline_lib.core import allocator
from pipeline_lib.core.types import State
from pipeline_lib.training.batches import stream
from pipeline_lib.training.initialisers.kaiming import kaiming_normal
from pipeline_lib.training.loop import Member, Recipe, train
from pipeline_lib.training.optimisers.sgd import sgd
from pipeline_lib.training.precision import Numerics
from pipeline_lib.training.schedules.steps import constant

RATE, MOMENTUM, DECAY = 0.1, 0.9, 1e-4


def recipe(numerics: Numerics) -> Recipe:
    """Make the recipe of ResNet-20 at its peak rate."""
    return Recipe(partial(sgd, lr=RATE, momentum=MOMENTUM, weight_decay=DECAY), constant(), numerics)


def start(seed: int) -> State:
    """Draw an initial state."""
    return kaiming_normal(cifar_shaped.network(), torch.Generator().manual_seed(seed))


def _usual(num_images: int, num_steps: int) -> Work:
    dataset = cifar_shaped.dataset(num_images, cifar_shaped.BATCH)
    network, drawn = cifar_shaped.network().train(), start(0)
    network.load_state_dict({**drawn.params, **drawn.buffers})
    optimiser = torch.optim.SGD(network.parameters(), lr=RATE, momentum=MOMENTUM, weight_decay=DECAY)
    loader = cifar_shaped.loader(dataset.train, training=True)

    def work() -> None:
        for x, y in itertools.islice(loader, num_steps):
            optimiser.zero_grad()
            F.cross_entropy(network(x), y).backward()
            optimiser.step()

    return work


def _ours(num_images: int, num_steps: int, numerics: Numerics, as_job: bool) -> Work:
    if as_job:
        allocator.keep_freed_memory()
    dataset = cifar_shaped.dataset(num_images, cifar_shaped.BATCH)
    source = stream(dataset, (0, 0), cifar_shaped.BATCH, cifar_shaped.PAD, flip=True, channels_last=numerics.channels_last)
    network, member = cifar_shaped.network(), Member(start(0), None, source)
    return lambda: train(network, [member], recipe(numerics), num_steps)


def _compare(precision: str, full: bool) -> list[Line]:
    """Time both in turn; the usual way is in float32 always."""
    num_images, num_steps, repeats = (50_000, 10, 7) if full else (5_000, 4, 5)
    numerics = Numerics(precision, channels_last=True)
    ours, theirs = partial(_ours, num_images, num_steps, numerics), partial(_usual, num_images, num_steps)
    ways = {"ours": apart(partial(ours, as_job=True)), "plain": apart(partial(ours, as_job=False)), "usual": apart(theirs)}
    times = interleave(ways, repeats, clock=lambda work: cast(float, work()))
    name, note = f"resnet20_train_{precision}", f"{num_steps} steps a round"
    return [
        compare(name, times["ours"], times["usual"], note),
        compare(f"{name}/allocator", times["ours"], times["plain"], f"{note}; usual = ours with glibc's own thresholds"),
    ]


def fp32(full: bool) -> list[Line]:
    """Compare at equal precision."""
    return _compare("fp32", full)


def bf16(full: bool) -> list[Line]:
    """Compare bfloat16 with the usual float32, on a processor that has it."""
    if not machine.has_bf16():
        return left_out(
            "resnet20_train_bf16", f"{machine.cpu_model()} has no bf16 instructions, and a step would take many seconds"
        )
    return _compare("bf16", full)
