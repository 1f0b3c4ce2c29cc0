"""A whole quick start in a copy of the checkout: CPU-seconds of all its processes, and seconds by the clock."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measure import Line, child_seconds
from pipeline_lib.experiments import config
from pipeline_lib.planning import driver
from pipeline_lib.worker.client import VARIABLE

CORES = 2


def _run(**more: str) -> tuple[float, float]:
    """Run it from nothing: its CPU-seconds, and its time by the clock."""
    left_out = shutil.ignore_patterns("results", "data", "venv", ".*", "__pycache__")
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "checkout"
        shutil.copytree(config.ROOT, folder, ignore=left_out)
        command = [sys.executable, "-m", "snakemake", "--cores", str(CORES)]
        environment = {key: value for key, value in os.environ.items() if key not in (driver.PLAN_ID, VARIABLE)}

        def work() -> None:
            out, err = subprocess.PIPE, subprocess.STDOUT
            run = subprocess.run(command, cwd=folder, env=environment | more, stdout=out, stderr=err, text=True, check=False)
            if run.returncode:
                raise RuntimeError(f"quick start must succeed, got exit code {run.returncode}: {run.stdout[-2000:]}")

        begun = time.monotonic()
        return child_seconds(work), time.monotonic() - begun


def run(full: bool) -> list[Line]:
    """Hold a quick start with its worker against one in which each job is a process of its own; three times each in full."""
    rounds = [(_run(), _run(**{VARIABLE: ""})) for _ in range(3 if full else 1)]
    rounds.sort(key=lambda each: each[0][0] / each[1][0])
    (ours, wall), (usual, usual_wall) = rounds[len(rounds) // 2]
    ratios = [one[0] / other[0] for one, other in rounds]
    spread = (ratios[-1] - ratios[0]) / (ours / usual)
    note = f"{wall:.0f} s on {CORES} cores, {usual_wall:.0f} s without a worker"
    return [Line("quickstart", ours, usual, ours / usual, len(rounds), spread, note)]
