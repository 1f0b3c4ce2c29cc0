"""The phase that makes results: the plan `science`, as far as the time goes."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from benchmarks.gpu import carrying
from benchmarks.gpu.bench import Asked
from benchmarks.gpu.rows import Rows
from pipeline_lib.planning import plan_file

GRACE = 20.0  # seconds for a job to save what it needs to go on, and for packing
TRIES = 3  # of a job that dies


def _carry(rows: Rows, asked: Asked, plan: Path) -> None:
    with rows.trying(what="on the way home"):  # a job at work may take away what is packed
        carrying.bring_back(asked.work, asked.out, plan)


def _make(command: Sequence[str], half: float, ends: float, carry: Callable[[], None]) -> int:
    """Run a job until it or the time ends, and give its code; at half of the time, pack what there is."""
    with subprocess.Popen(command) as job:
        for until, then in ((half, carry), (ends, lambda: job.send_signal(signal.SIGTERM)), (ends + GRACE, job.kill)):
            try:
                return job.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                then()
        return job.wait()


def science(rows: Rows, asked: Asked) -> None:
    """Make what is missing of the plan, and pack it for the way home: at the end, and once on the way in case there is none."""
    plan, ends = carrying.plan_of(asked.work, "science"), time.monotonic() + asked.left - 2 * GRACE
    command = [sys.executable, "-m", "pipeline_lib", "make", str(plan)]
    half = (time.monotonic() + ends) / 2
    for _ in range(TRIES):
        code = _make(command, half, ends, lambda: _carry(rows, asked, plan))
        rows(what="science", code=code)
        if code == 0 or time.monotonic() >= ends:
            break
    for node in plan_file.nodes(plan):
        found = asked.work / "results" / node["folder"] / "runs.parquet"
        if found.is_file():
            for row in pd.read_parquet(found).to_dict("records"):
                rows(
                    what="run",
                    **{name: row[name] for name in ("task", "seed", "order", "k", "level", "test_error") if name in row},
                )
    rows(what="left out on the way home", folders=carrying.bring_back(asked.work, asked.out, plan))
