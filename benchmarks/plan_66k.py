"""Planning the largest shipped experiment, 66,797 nodes, in a process of its own: CPU-seconds without the start of Python."""

from __future__ import annotations

import statistics
import subprocess
import sys

from benchmarks.measure import Line
from pipeline_lib.experiments import config

GOAL_SECONDS = 6.0
FILE = config.ROOT / "config" / "experiments" / "early_phase.yaml"
SCRIPT = """
import sys, time
from pathlib import Path
from pipeline_lib.planning import driver
begun = time.process_time()
made = driver.load([Path(sys.argv[1])])
print(len(made.nodes), time.process_time() - begun)
"""


def run(full: bool) -> list[Line]:
    """Plan it three times, or seven; the goal takes the place of the usual way."""
    command = [sys.executable, "-c", SCRIPT, str(FILE)]
    said = [
        subprocess.run(command, cwd=config.ROOT, capture_output=True, text=True, check=True).stdout.split()
        for _ in range(7 if full else 3)
    ]
    seconds = [float(second) for _, second in said]
    cpu = statistics.median(seconds)
    spread = (max(seconds) - min(seconds)) / cpu
    return [
        Line("plan_66k", cpu, GOAL_SECONDS, GOAL_SECONDS / cpu, len(seconds), spread, f"usual = the goal; {said[0][0]} nodes")
    ]
