"""What a process says that does several jobs of a run: to each job's command how it ended, and to its log what concerns it."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from pipeline_lib.core import terminal
from pipeline_lib.store import job

VARIABLE = "PIPELINE_BESIDE"  # the worker sets it: descriptors of what it hears of jobs that have ended, and of each job's log


@dataclass(frozen=True)
class Beside:
    """The jobs that share this process.

    Args:
        heard: descriptor at which the worker hears how each of them ended.
        logs: of each job, by its folder.
    """

    heard: int
    logs: dict[Path, TextIO]

    def show(self) -> None:
        """Send log lines to the log of the job that they are about; what is about none in particular, to all."""
        handlers = []
        for folder, log in self.logs.items():
            handlers.append(terminal.lines(log))
            handlers[-1].addFilter(job.about(folder))
        logging.basicConfig(level=logging.INFO, handlers=handlers)
        names = [folder.name for folder in self.logs]
        job.log.info("%d jobs share process %d: %s", len(names), os.getpid(), ", ".join(names))

    def end(self, folder: Path, error: Exception | None) -> None:
        """Say that a job has ended."""
        if error is not None:
            terminal.tell_error(error, self.logs[folder])
        with suppress(OSError):  # the run is over
            os.write(self.heard, f"{list(self.logs).index(folder)} {int(error is not None)}\n".encode())


def found(folders: Sequence[Path]) -> Beside | None:
    """Find out whether this process does several jobs for a run's worker."""
    told = os.environ.pop(VARIABLE, "")
    if not told:
        return None
    heard, *logs = map(int, told.split())
    return Beside(heard, {folder: os.fdopen(log, "w", closefd=False) for folder, log in zip(folders, logs, strict=True)})
