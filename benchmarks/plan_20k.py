"""A dry run of a plan of some twenty thousand jobs: CPU-seconds and peak memory of planning alone."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measure import Line
from pipeline_lib.experiments import config
from pipeline_lib.planning import driver

GOAL_SECONDS, GOAL_MIB = 60.0, 1024.0
EXPERIMENT = {
    "tasks": ["lenet_mnist"],
    "seeds": 55,
    "orders": 3,
    "rewind": [0, 250, 500, 1000],
    "levels": 16,
    "controls": ["random_prune", "reinit"],
}


def _dry_run(folder: Path, config_file: Path) -> tuple[float, float, float]:
    """Run `snakemake -n` once: CPU-seconds, wall-clock seconds, peak MiB."""
    snakefile = config.ROOT / "workflow" / "Snakefile"
    command = [sys.executable, "-m", "snakemake", "-n", "--quiet", "all", "--cores", "1", "--snakefile", str(snakefile)]
    command += ["--configfile", str(config_file), "--directory", str(folder)]
    environment = {key: value for key, value in os.environ.items() if key != driver.PLAN_ID}
    log = folder / "log"
    begun = time.monotonic()
    with log.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=environment)
        _, status, usage = os.wait4(process.pid, 0)  # this child's own usage; RUSAGE_CHILDREN mixes all of them
    wall = time.monotonic() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        text = log.read_text(encoding="utf-8")
        raise RuntimeError(f"dry run must succeed, got exit code {process.returncode}: {text[-2000:]}")
    mib = usage.ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)
    return usage.ru_utime + usage.ru_stime, wall, mib


def run(full: bool) -> list[Line]:
    """Plan it once, or three times; the goal takes the place of the usual way."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = {"results": str(folder / "results"), "per_job": {"seeds": 1, "orders": 1}, "experiments": {"many": EXPERIMENT}}
        config_file = folder / "config.yaml"
        config_file.write_text(json.dumps(settings), encoding="utf-8")  # JSON is YAML
        num_nodes = len(driver.load([config_file]).nodes)
        runs = [_dry_run(folder, config_file) for _ in range(3 if full else 1)]
    cpu, wall, mib = (statistics.median(figures) for figures in zip(*runs, strict=True))
    spread = (max(r[0] for r in runs) - min(r[0] for r in runs)) / cpu
    note = f"usual = the goal; {num_nodes} jobs, {wall:.0f} s wall, {mib:.0f} MiB (goal below {GOAL_MIB:.0f})"
    return [Line("plan_20k", cpu, GOAL_SECONDS, GOAL_SECONDS / cpu, len(runs), spread, note)]
