"""Phases that tell how fast the device is, and which switch pays."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from unittest import mock

import torch

from benchmarks.gpu import alternatives, bench
from benchmarks.gpu.bench import NINE, PRECISIONS, Asked, numerics, rate, wait
from benchmarks.gpu.rows import Rows
from pipeline_lib.analysis import curvature, paths
from pipeline_lib.core import algebra
from pipeline_lib.core.parameters import prunable
from pipeline_lib.core.types import Progress
from pipeline_lib.training import evaluation
from pipeline_lib.training.cuda_graphs import Replay

NODES = 300  # of a graph that does next to nothing


def speed(rows: Rows, asked: Asked) -> None:
    """Steps a second as the pipeline is: cohorts of several sizes, three precisions, two layouts."""
    dataset = asked.dataset()
    sizes = [(num, precision, True) for num, precision in itertools.product((NINE, 1), PRECISIONS)]
    sizes += [(NINE, precision, False) for precision in PRECISIONS]
    sizes += [(num, precision, True) for num, precision in itertools.product((18, 36), ("bf16", "tf32"))]
    for num, precision, channels_last in sizes[:1] if asked.tiny else sizes:
        what = {"members": num, "precision": precision, "channels_last": channels_last}
        with rows.trying(**what):
            rows(**what, **bench.pace(num, dataset, asked, numerics(precision, channels_last)))


def _ways(rows: Rows, asked: Asked, *ways: str) -> None:
    dataset, queues = asked.dataset(), os.environ.get("CUDA_DEVICE_MAX_CONNECTIONS", "default")
    for way, precision in itertools.product(ways, asked.precisions[::-1]):
        torch.backends.cudnn.benchmark = way == "benchmark"
        what = {"way": way, "precision": precision, "queues": queues}
        own = "recorded" if way == "benchmark" else way
        begun = time.monotonic()
        with rows.trying(**what):
            found = alternatives.pace(own, dataset, asked, numerics(precision, own != "vmap"))
            rows(**what, steps_a_second=found, ready_s=time.monotonic() - begun - asked.span)


def ladder(rows: Rows, asked: Asked) -> None:
    """Switches, one at a time, on a cohort of nine; the pipeline's own loop is in `speed`."""
    _ways(rows, asked, "recorded", *(("vmap",) if asked.tiny else ("benchmark", "one graph", "vmap")))


def queues(rows: Rows, asked: Asked) -> None:
    """Members in queues of their own, with as many hardware queues as the environment says."""
    _ways(rows, asked, "recorded")


def compiled(rows: Rows, asked: Asked) -> None:
    """Forward and backward through the compiler: what it gains, and what it costs to begin."""
    _ways(rows, asked, *(() if asked.tiny else ("compiled",)))


def _replayed(work: Callable[[], object], asked: Asked) -> Callable[[], None]:
    def once() -> None:
        work()

    def call() -> None:
        with replay.queue():
            replay(once)

    replay = Replay(asked.place)
    return call


def _chain(cell: torch.Tensor) -> None:
    for _ in range(NODES):
        cell.add_(1)


def _all(calls: Sequence[Callable[[], None]]) -> None:
    for call in calls:
        call()


def _host(rows: Rows, asked: Asked) -> None:
    """Time what the loop does on the host for a step, with nothing in the place of recorded work."""
    num, seen = 2 if asked.tiny else 10_000, list[float]()

    def monitor(progress: Progress) -> None:
        if progress.step % num == 0:
            seen.append(time.thread_time())

    with mock.patch.object(Replay, "__call__", lambda self, work: None):
        bench.trained(1, asked.dataset(), asked, numerics("fp32"), 2 * num, monitor)
    rows(what="host time of a step", us=1e6 * (seen[1] - seen[0]) / num)


def micro(rows: Rows, asked: Asked) -> None:
    """The host's time; what a node of a graph costs, alone and beside others; the optimiser in pieces; grouped convolutions."""
    with rows.trying(what="host time of a step"):
        _host(rows, asked)
    for num in (1,) if asked.tiny else (1, 4, 9, 16, 32):
        with rows.trying(what="empty nodes", streams=num):
            calls = [_replayed(partial(_chain, torch.zeros(1, device=asked.place)), asked) for _ in range(num)]
            rows(what="empty nodes", streams=num, nodes_a_second=rate(partial(_all, calls), NODES * num, asked))
    for pieces in (1, 16, 48, 132):
        with rows.trying(what="fused SGD of 272,474", pieces=pieces):
            _update(rows, asked, pieces)
    for (channels, side), precision in itertools.product(((16, 32), (32, 16), (64, 8))[2 * asked.tiny :], asked.precisions):
        for groups, channels_last in itertools.product((1, NINE), (True, False)):
            _convolution(rows, asked, channels, side, precision, groups, channels_last)


def _update(rows: Rows, asked: Asked, pieces: int) -> None:
    """Time an update of ResNet-20's parameters in so many pieces of one vector."""
    vector, gradient = torch.randn(2, 272_474, device=asked.place)
    size = -(-len(vector) // pieces)
    parts = list(vector.split(size))
    for part, own in zip(parts, gradient.split(size), strict=True):
        part.grad = own
    optimiser = torch.optim.SGD(parts, lr=0.1, momentum=0.9, weight_decay=1e-4, fused=True)
    rows(what="fused SGD of 272,474", pieces=pieces, us=1e6 / rate(_replayed(optimiser.step, asked), 1, asked))


def _convolution(rows: Rows, asked: Asked, channels: int, side: int, precision: str, groups: int, channels_last: bool) -> None:
    numerics(precision)
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    layout = torch.channels_last if channels_last else torch.contiguous_format
    x = (
        torch.randn(asked.batch, groups * channels, side, side, device=asked.place, dtype=kind)
        .contiguous(memory_format=layout)
        .requires_grad_()
    )
    w = (
        torch.randn(groups * channels, channels, 3, 3, device=asked.place, dtype=kind)
        .contiguous(memory_format=layout)
        .requires_grad_()
    )
    gradient = torch.randn_like(x)
    passes = partial(torch.nn.functional.conv2d, x, w, padding=1, groups=groups)
    call = _replayed(lambda: torch.autograd.grad(passes(), (x, w), gradient), asked)
    what = {"what": "convolution, three passes", "channels": channels, "precision": precision}
    with rows.trying(**what, groups=groups):
        rows(**what, groups=groups, channels_last=channels_last, us_a_member=1e6 / rate(call, groups, asked))


def measure(rows: Rows, asked: Asked) -> None:
    """Images a second of evaluation and of lines; products with the Hessian."""
    dataset, network = asked.dataset(), asked.network()
    states = [algebra.moved(asked.start(i), asked.place) for i in range(3)]
    split = dataset.train
    for precision, channels_last in itertools.product(asked.precisions, (True, False)):
        what = {"what": "evaluate", "precision": precision, "channels_last": channels_last}
        with rows.trying(**what):
            work = partial(evaluation.evaluate, network, states[0], split, dataset, numerics(precision, channels_last))
            rows(**what, images_a_second=rate(work, len(split.y), asked))
    for precision in asked.precisions:
        with rows.trying(what="lines", precision=precision):
            how, weights = numerics(precision), paths.alphas(4)
            begun = time.perf_counter()
            paths.paths(network, states, [(0, 1), (1, 2)], weights, split, dataset, how)
            rows(what="lines", precision=precision, images_a_second=7 * len(split.y) / (time.perf_counter() - begun))
    for examples in (8,) if asked.tiny else (5_000, 25_000):
        with rows.trying(what="Hessian, block of 4", examples=examples):
            _products(rows, asked, examples)


def _products(rows: Rows, asked: Asked, examples: int) -> None:
    """Time a block of four products with the Hessian, as spectra ask for."""
    dataset, network, how = asked.dataset(), asked.network(), numerics("fp32")
    few = evaluation.subset(dataset.train, examples, "GPU day")
    batches = partial(evaluation.chunks, few, dataset, how)
    product, gradient = curvature.hessian_product(
        network, algebra.moved(asked.start(0), asked.place), batches, prunable(network), None
    )
    block = torch.randn(4, len(gradient), device=asked.place)
    if asked.place.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    product(block)
    wait(asked.place)
    begun = time.perf_counter()
    product(block)
    wait(asked.place)
    most = torch.cuda.max_memory_allocated() / 2**30 if asked.place.type == "cuda" else 0.0
    rows(what="Hessian, block of 4", examples=examples, seconds=time.perf_counter() - begun, gib=most)
