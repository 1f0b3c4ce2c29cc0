"""The phase that makes results: the plan `science`, as far as the time goes."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pandas as pd

from benchmarks.gpu import carrying
from benchmarks.gpu.bench import Asked
from benchmarks.gpu.rows import Rows
from pipeline_lib.planning import plan_file

GRACE = 20.0  # seconds for a job to save what it needs to go on, and for packing


def science(rows: Rows, asked: Asked) -> None:
    """Make what is missing of the plan, and pack it for the way home: at the end, and once on the way in case there is none."""
    plan, ends = carrying.plan_of(asked.work, "science"), time.monotonic() + asked.left - 2 * GRACE
    command = [sys.executable, "-m", "pipeline_lib", "make", str(plan)]
    with subprocess.Popen(command) as job:
        for until in (time.monotonic() + max(0.0, ends - time.monotonic()) / 2, ends):
            try:
                job.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                carrying.bring_back(asked.work, asked.out, plan)
        if job.poll() is None:
            job.send_signal(signal.SIGTERM)
            try:
                job.wait(GRACE)
            except subprocess.TimeoutExpired:
                job.kill()
    rows(what="science", code=job.returncode)
    for node in plan_file.nodes(plan):
        found = asked.work / "results" / node["folder"] / "runs.parquet"
        if found.is_file():
            for row in pd.read_parquet(found).to_dict("records"):
                rows(
                    what="run",
                    **{name: row[name] for name in ("task", "seed", "order", "k", "level", "test_error") if name in row},
                )
    rows(what="left out on the way home", folders=carrying.bring_back(asked.work, asked.out, plan))
