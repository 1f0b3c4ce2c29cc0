"""Processes that left a file behind: whether the one that did is still there."""

from __future__ import annotations

import os
import time
from pathlib import Path

from pipeline_lib.core import files

SILENT_AFTER = 300.0  # seconds without renewal after which a process of another machine counts as gone


def begun(process: int) -> str | None:
    """Tell when a process of this machine began, as its system words it; None if there is none."""
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except OSError:
        if Path("/proc/self/stat").exists():
            return None
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return None
    except PermissionError:  # alive, and another user's
        pass
    return ""


def is_gone(machine: str, process: int, since: str | None, renewed: float) -> bool:
    """Tell whether a process has ended, or its machine has been silent since a time too long ago.

    Args:
        machine: what the process's number is unique in, as `files.place` says it.
        process: its number.
        since: when it began, as `begun` told it then.
        renewed: when it last renewed its file, in seconds.
    """
    if machine == files.place():
        return begun(process) != since
    return time.time() - renewed > SILENT_AFTER
