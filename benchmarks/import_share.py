"""The share of a quick start's CPU-seconds that goes into `import torch`."""

from __future__ import annotations

import statistics
import subprocess
import sys

from benchmarks import quickstart
from benchmarks.measure import Line, child_seconds, interleave, left_out


def _import_torch() -> None:
    subprocess.run([sys.executable, "-c", "import torch"], check=True)


def run(full: bool) -> list[Line]:
    """Multiply the cost of one import by the number of jobs that import; hold it against the whole quick start."""
    repeats = 15 if full else 7
    one = statistics.median(interleave({"import": _import_torch}, repeats, child_seconds)["import"])
    plan = quickstart.load()
    jobs = sum(node.stage in quickstart.TORCH_STAGES for node in plan.nodes.values())
    note = f"{jobs} imports of {one:.2f} s in {len(plan.nodes)} jobs; "
    if full:
        total, note = quickstart.run_anew(), note + "all processes of a new run"
    else:
        found = quickstart.recorded_seconds(plan, one)
        if found is None:
            return left_out("import_share", "no finished quick start under results/; make one, or use --full")
        total, note = found[0], note + f"from the records of a finished run, {found[1]} of them filled in"
    return [Line("import_share", one * jobs, total, one * jobs / total, repeats, 0.0, note)]
