"""Makes jobs slow or greedy. Tests copy this file to their checkout as sitecustomize.py, which Python imports at its start.

A file `trouble/PART`, for the jobs whose name has that part, says `slow SECONDS`, for each step of training, or `hold MEGABYTES`,
beside what the job needs; `once` after it: in its first try only. `trouble/PART.step` says how far a slow job is.
"""

from __future__ import annotations

import os
import runpy
import sys
import time
from pathlib import Path

FOLDER = Path(__file__).parent / "trouble"


def slow(seconds: float, part: str) -> None:
    """Sleep at every step of training; where jobs share a process, of those whose name has the part."""
    from pipeline_lib.stages.support import training

    report = training.Reporter.__call__

    def slowly(self, progress):
        if part in self._setting.job.folder.name:
            (FOLDER / f"{part}.step").write_text(str(progress.step), encoding="utf-8")
            time.sleep(seconds)
        report(self, progress)

    training.Reporter.__call__ = slowly


def hold(megabytes: float) -> bytes:
    """Hold so much memory, for long enough to be noticed."""
    held = b"x" * int(megabytes * 2**20)
    time.sleep(5)
    return held


def begin(words: str) -> list[object]:
    """Do to a job what is said of it; what it is to hold."""
    held: list[object] = []
    for path in FOLDER.glob("*[!.step]"):
        if path.name in words:
            kind, amount, *once = path.read_text(encoding="utf-8").split()
            if once:
                path.unlink()
            held.append(slow(float(amount), path.name) if kind == "slow" else hold(float(amount)))
    return held


if "pipeline_lib" in sys.orig_argv and "PIPELINE_WORKER" not in os.environ:
    held = begin(" ".join(sys.orig_argv))
elif sys.orig_argv[1:2] and Path(sys.orig_argv[1]).name == "server.py":  # the worker of a group, whose forks are the jobs
    run_module = runpy.run_module

    def run_job(name: str, **options):
        held = begin(" ".join(sys.argv))
        return run_module(name, **options), held

    runpy.run_module = run_job
