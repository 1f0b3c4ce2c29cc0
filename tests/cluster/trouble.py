"""Makes jobs slow or greedy. Tests copy this file to their checkout as sitecustomize.py, which Python imports at its start.

A file `trouble/PART`, for the jobs whose name has that part, says `slow SECONDS`, for each step of training, or `hold MEGABYTES`,
beside what the job needs; `once` after it: in its first try only. `trouble/PART.step` says how far a slow job is.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

FOLDER = Path(__file__).parent / "trouble"


def slow(seconds: float, seen: Path) -> None:
    """Sleep at every step of training."""
    from pipeline_lib.stages.support import training

    report = training.Reporter.__call__

    def slowly(self, progress):
        seen.write_text(str(progress.step), encoding="utf-8")
        time.sleep(seconds)
        report(self, progress)

    training.Reporter.__call__ = slowly


def hold(megabytes: float) -> bytes:
    """Hold so much memory, for long enough to be noticed."""
    held = b"x" * int(megabytes * 2**20)
    time.sleep(5)
    return held


for path in FOLDER.glob("*[!.step]"):
    if "pipeline_lib" in sys.orig_argv and path.name in " ".join(sys.orig_argv):
        kind, amount, *once = path.read_text(encoding="utf-8").split()
        if once:
            path.unlink()
        held = slow(float(amount), FOLDER / f"{path.name}.step") if kind == "slow" else hold(float(amount))
