"""CPU-seconds of a quick start: read from a finished one, or spent on a new one in a copy of the checkout."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import child_seconds
from pipeline_lib.experiments import config
from pipeline_lib.planning import driver
from pipeline_lib.planning.nodes import Node, Plan

TORCH_STAGES = ("prepare", "pretrain", "train", "interpolate")  # the others import no torch
CONFIG = config.ROOT / "config" / "config.yaml"


def load() -> Plan:
    """Plan the quick start."""
    return driver.load([CONFIG])


def _record(node: Node) -> dict[str, str] | None:
    """Read a job's newest benchmark record; keys are left out, so that one made before an edit of the code counts too."""
    folder = config.ROOT / "results" / "benchmarks" / node.stage
    found = sorted(folder.glob(f"{node.label}-" + "[0-9a-f]" * 12 + ".tsv"), key=lambda path: path.stat().st_mtime)
    if not found:
        return None
    with found[-1].open(encoding="utf-8", newline="") as file:
        return next(csv.DictReader(file, delimiter="\t"), None)


def recorded_seconds(plan: Plan, import_seconds: float) -> tuple[float, int] | None:
    """Add up the `cpu_time` of a finished quick start's jobs, as Snakemake sampled it.

    A job that ends before the second sample reads 0 or NA. It counts as one import of torch in a stage that imports it, else as
    its wall-clock seconds, which a job of one thread cannot exceed. Snakemake's own time is not in these records.

    Returns:
        The sum and the number of jobs that were filled in, or None if a job has no record.
    """
    total, filled = 0.0, 0
    for node in plan.nodes.values():
        record = _record(node)
        if record is None:
            return None
        sampled = float(record["cpu_time"]) if record["cpu_time"] not in ("NA", "-", "") else 0.0
        if sampled == 0:
            filled += 1
            sampled = import_seconds if node.stage in TORCH_STAGES else float(record["s"])
        total += sampled
    return total, filled


def run_anew() -> float:
    """Run the whole quick start in a copy of the checkout, on one core, and return the CPU-seconds of all its processes."""
    left_out = shutil.ignore_patterns("results", "data", "venv", ".*", "__pycache__")
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "checkout"
        shutil.copytree(config.ROOT, folder, ignore=left_out)
        command = [sys.executable, "-m", "snakemake", "--cores", "1"]
        environment = {key: value for key, value in os.environ.items() if key != driver.PLAN_ID}

        def work() -> None:
            out, err = subprocess.PIPE, subprocess.STDOUT
            run = subprocess.run(command, cwd=folder, env=environment, stdout=out, stderr=err, text=True, check=False)
            if run.returncode:
                raise RuntimeError(f"quick start must succeed, got exit code {run.returncode}: {run.stdout[-2000:]}")

        return child_seconds(work)
