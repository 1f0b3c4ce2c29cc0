"""A dry run of a plan of some twenty thousand jobs, beside the least that Snakemake itself takes for so many jobs."""

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

GOAL_MIB = 1024.0
# As many jobs of one rule: each reads two files of up to three others and makes three, without log, record of time, or checks.
BARE = """
NUM = {num}


def parents(wildcards):
    i = int(wildcards.i)
    return [f"r/{{j}}/{{name}}" for j in (i // 2, i // 3, i // 5) if j < i for name in "xy"]


rule all:
    input: [f"r/{{i}}/x" for i in range(NUM)]

rule one:
    input: parents
    output: [f"r/{{{{i}}}}/{{name}}" for name in "xyz"]
    shell: "touch {{output}}"
"""
EXPERIMENT = {
    "tasks": ["lenet_mnist"],
    "seeds": 55,
    "orders": 3,
    "rewind": [0, 250, 500, 1000],
    "levels": 16,
    "controls": ["random_prune", "reinit"],
}


def _dry_run(folder: Path, snakefile: Path, *more: str) -> tuple[float, float, float]:
    """Run `snakemake -n` once: CPU-seconds, wall-clock seconds, peak MiB."""
    command = [sys.executable, "-m", "snakemake", "-n", "--quiet", "all", "--cores", "1", "--snakefile", str(snakefile)]
    command += ["--directory", str(folder), *more]
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
    """Plan both once, or three times, in turns."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = {"results": str(folder / "results"), "per_job": {"seeds": 1, "orders": 1}, "experiments": {"many": EXPERIMENT}}
        config_file = folder / "config.yaml"
        config_file.write_text(json.dumps(settings), encoding="utf-8")  # JSON is YAML
        num_nodes = len(driver.load([config_file]).nodes)
        bare = folder / "bare"
        bare.mkdir()
        (bare / "Snakefile").write_text(BARE.format(num=num_nodes), encoding="utf-8")
        own = config.ROOT / "workflow" / "Snakefile"
        runs = [
            (_dry_run(folder, own, "--configfile", str(config_file)), _dry_run(bare, bare / "Snakefile"))
            for _ in range(3 if full else 1)
        ]
    cpu, wall, mib = (statistics.median(figures) for figures in zip(*(ours for ours, _ in runs), strict=True))
    usual = statistics.median(least[0] for _, least in runs)
    ratios = [least[0] / ours[0] for ours, least in runs]
    spread = (max(ratios) - min(ratios)) / statistics.median(ratios)
    note = f"usual = bare Snakemake; {num_nodes} jobs, {wall:.0f} s wall, {mib:.0f} MiB (goal below {GOAL_MIB:.0f})"
    return [Line("plan_20k", cpu, usual, statistics.median(ratios), len(runs), spread, note)]
