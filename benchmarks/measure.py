"""CPU-seconds, interleaved: times on a shared machine that can still be compared.

Wall-clock time measures the neighbours too; CPU-seconds of this process, on one thread, hardly do. What is left of them (clock
speed, shared caches) drifts slowly, so the ways that are compared take turns, and the medians are taken over the rounds.
"""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

Work = Callable[[], object]


@dataclass(frozen=True)
class Line:
    """One printed result: what is under test, what it is held against, and a figure made of the two.

    Args:
        name: of the benchmark, or `benchmark/part`.
        ours: first figure, CPU-seconds unless the benchmark says otherwise.
        usual: second figure.
        ratio: what the goal is about.
        repeats: number of rounds behind the medians.
        spread: (largest - smallest) / median of the ratio over the rounds; 0 for one round.
        note: what else was measured.
    """

    name: str
    ours: float
    usual: float
    ratio: float
    repeats: int = 1
    spread: float = 0.0
    note: str = ""


def cpu_seconds(work: Work) -> float:
    """Measure the CPU-seconds that a call takes in this process, all threads together."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def child_seconds(work: Work) -> float:
    """Measure the CPU-seconds of the child processes that a call starts and waits for."""

    def used() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    begun = used()
    work()
    return used() - begun


_prepared: list[Work] = []


def _begin(prepare: Callable[[], Work]) -> None:
    _prepared.append(prepare())


def _seconds() -> float:
    return cpu_seconds(_prepared[0])


def apart(prepare: Callable[[], Work]) -> Callable[[], float]:
    """Make a way work in a process of its own, with an allocator of its own; each call returns the CPU-seconds that it took.

    Args:
        prepare: makes the way, in that process; a function of a module, or a `partial` of one.
    """
    # Not a fork: what this process has allocated would come along.
    process = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_begin, initargs=(prepare,))
    return lambda: process.submit(_seconds).result()


def interleave(ways: Mapping[str, Work], repeats: int, clock: Callable[[Work], float] = cpu_seconds) -> dict[str, list[float]]:
    """Time every way once a round, in turn; one untimed round goes first.

    Args:
        ways: what to time, by name.
        repeats: number of timed rounds.
        clock: how to time a call.

    Returns:
        For each way, one figure a round.
    """
    for work in ways.values():
        work()
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, work in ways.items():
            times[name].append(clock(work))
    return times


def compare(name: str, ours: Sequence[float], usual: Sequence[float], note: str = "") -> Line:
    """Sum up two ways timed in the same rounds; the ratio `usual / ours` is the median over the rounds."""
    ratios = [theirs / own for own, theirs in zip(ours, usual, strict=True)]
    middle = statistics.median(ratios)
    spread = (max(ratios) - min(ratios)) / middle
    return Line(name, statistics.median(ours), statistics.median(usual), middle, len(ratios), spread, note)


def left_out(name: str, reason: str) -> list[Line]:
    """Say why a benchmark was not run; there is no line of it then."""
    print(f"{name}: left out, {reason}", file=sys.stderr, flush=True)
    return []
