"""The two commands: phases, each a process with a time of its own, so that a fault of one costs one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.gpu.rows import Rows

LEAST = 8.0  # seconds that a phase is begun for
MARGIN = 5.0  # seconds before its end at which a phase is to be done


@dataclass(frozen=True)
class Phase:
    """A phase: its name, `module.function` of this package; seconds at most; and what its environment has besides."""

    name: str
    seconds: float
    environment: dict[str, str] = field(default_factory=dict)


# The most telling first: what does not fit is left out, and said so. Phases that end early leave their time to the next.
FIRST = (
    Phase("checks.place", 45),
    Phase("checks.correct", 60),
    Phase("checks.resume", 45),
    Phase("speeds.speed", 50),
    Phase("speeds.measure", 35),
    Phase("speeds.micro", 25),
    Phase("speeds.ladder", 60),
    Phase("speeds.queues", 20, {"CUDA_DEVICE_MAX_CONNECTIONS": "32"}),
    Phase("speeds.compiled", 75),
)
SECOND = (Phase("science.science", 600),)


def command(words: Sequence[str], name: str, left: float) -> list[str]:
    """Word the command of a phase.

    Args:
        words: of the command line, for all phases.
        name: of the phase.
        left: seconds that it has.
    """
    return [sys.executable, "-m", "benchmarks.gpu", "phase", name, "--left", f"{left:.0f}", *words]


def run(phases: Sequence[Phase], seconds: float, worded: Callable[[str, float], list[str]], rows: Rows) -> None:
    """Run phases one after the other.

    Args:
        phases: which.
        seconds: for all of them.
        worded: gives a phase's command, from its name and the seconds that it has.
        rows: takes how each ended.
    """
    ends = time.monotonic() + seconds
    for phase in phases:
        left = min(phase.seconds, ends - time.monotonic())
        if left < LEAST:
            rows(skipped=phase.name)
            continue
        begun = time.monotonic()
        job = subprocess.Popen(worded(phase.name, left - MARGIN), env=os.environ | phase.environment, start_new_session=True)
        try:
            code = str(job.wait(left))
        except subprocess.TimeoutExpired:
            os.killpg(job.pid, signal.SIGKILL)  # with what it started
            code = f"out of time, {job.wait()}"
        rows(ended=phase.name, code=code, seconds=time.monotonic() - begun, **phase.environment)
