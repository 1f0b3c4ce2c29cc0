"""Runs one job again and again, each time with files edited at another moment of it; a module of its own, to import torch once.

    python edited_job.py FOLDER PLAN MOMENTS < edits.json       (in a checkout that is on PYTHONPATH)

Moments are calls of Python functions: before the first, where modules of the package begin, and spread over all to the end.
"""

from __future__ import annotations

import json
import os
import runpy
import shutil
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import numpy  # noqa: F401
import pyarrow.parquet  # noqa: F401
import safetensors.torch  # noqa: F401
import torch  # noqa: F401


def _edit(edits: dict[str, str]) -> None:
    """Write other texts with the times of the old ones, as if compiled code of them were still good."""
    for name, text in edits.items():
        before = Path(name).stat()
        Path(name).write_text(text, encoding="utf-8")
        os.utime(name, ns=(before.st_atime_ns, before.st_mtime_ns))


def _job(folder: Path, plan: str, moment: int, edits: dict[str, str]) -> list[int]:
    """Make the artifact in this process, and edit at the n-th call; list the calls that begin modules, and the last."""
    calls, begins = 0, []

    def note(frame: FrameType, event: str, _: Any) -> None:
        nonlocal calls
        calls += event == "call"
        if (
            event == "call"
            and frame.f_code.co_name == "<module>"
            and frame.f_globals.get("__name__", "").startswith("pipeline_lib.")
        ):
            begins.append(calls)
        if event == "call" and calls == moment:
            sys.setprofile(None)
            _edit(edits)

    sys.argv = ["pipeline_lib", folder.parent.name, str(folder), "--plan", plan]
    if moment == 0:
        _edit(edits)
    sys.setprofile(note)
    try:
        runpy.run_module("pipeline_lib", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code:
            raise
    finally:
        sys.setprofile(None)
    return [*begins, calls]


def _outcome(folder: Path, plan: str, moment: int, edits: dict[str, str]) -> dict[str, Any]:
    originals = {name: Path(name).read_text(encoding="utf-8") for name in edits}
    shutil.rmtree(folder, ignore_errors=True)
    reads, writes = os.pipe()
    if (pid := os.fork()) == 0:
        os.dup2(writes, 1)
        os.dup2(writes, 2)
        try:
            os.write(1, f"\ncalls {_job(folder, plan, moment, edits)}\n".encode())
            os._exit(0)
        except SystemExit:
            os._exit(1)
        except BaseException as error:
            os.write(2, f"Traceback: {error!r}\n".encode())
            os._exit(70)
    os.close(writes)
    with os.fdopen(reads, encoding="utf-8") as output:
        text = output.read()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    _edit(originals)
    files = {path.name: path.read_bytes().hex() for path in folder.glob("*")}
    return {"moment": moment, "code": code, "text": text, "files": files}


def main() -> None:
    """Print an outcome a line: first of the undisturbed job, then of each moment."""
    folder, plan, number, edits = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), json.load(sys.stdin)
    whole = _outcome(folder, plan, -1, edits)
    print(json.dumps(whole))
    *begins, calls = json.loads(whole["text"].rpartition("calls ")[2])
    late = begins[-number // 2 :]  # what is imported late is read late
    # The first four are the worker's client and what freezes the others, each with the package around it.
    early = begins[4 :: len(begins) // (number // 4)]
    spread = [calls * (i + 1) // (number // 4) for i in range(number // 4)]
    for moment in (0, *early, *late, *spread):
        print(json.dumps(_outcome(folder, plan, moment, edits)))


if __name__ == "__main__":
    main()
