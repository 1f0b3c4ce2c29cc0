"""How far the jobs of a results folder are: a small file each, for those who watch; no result depends on it.

The files lie together in one folder, so that looking at them does not mean to list the logs of all jobs. A job writes its own
from what it logs (`extra` of a log call with a `Pace`), and removes it at its end. What a killed job left is ignored.
"""

from __future__ import annotations

import json
import logging
import math
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pipeline_lib.core import files
from pipeline_lib.store import artifacts, processes
from pipeline_lib.store.job import about, log

FOLDER = "logs/going"
RENEWED_EVERY = 60.0  # seconds


@dataclass(frozen=True)
class Going:
    """A job at work.

    Args:
        stage: its stage.
        name: its artifact's folder, `<label>-<key>`.
        machine, host, process, begun: where it runs, as `processes.is_gone` asks for it.
        since: when it began, in seconds.
        who: what of it is worked on, such as `seed 0 order 1`; empty before it logs anything.
        done, total: steps, of training or whatever it counts.
        speed: steps a second; null before it is known.
        left: seconds that the rest of `total` takes; null before it is known.
        loss: mean over the mini-batches since the last evaluation; null where nothing is trained.
        error: share of wrong predictions on the test split when that was evaluated last; null for never.
    """

    stage: str
    name: str
    machine: str
    host: str
    process: int
    begun: str | None
    since: float
    who: str = ""
    done: int = 0
    total: int = 0
    speed: float | None = None
    left: float | None = None
    loss: float | None = None
    error: float | None = None


def _test_error(rows: Any) -> float | None:
    """Find the last test error among what a run recorded."""
    for row in reversed(rows or []):
        value = row.get("error") if row.get("split") == "test" else row.get("test_error")
        if value is not None:
            return float(value)
    return None


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


class _Scribe(logging.Handler):
    """Writes a job's file anew when the job logs how far it is. What goes wrong with it is nobody's business."""

    def __init__(self, path: Path, going: Going) -> None:
        super().__init__()
        self._path, self._going = path, going
        self._write()

    def _write(self) -> None:
        with suppress(OSError, ValueError):
            artifacts.write_text(self._path, json.dumps(asdict(self._going)))

    def emit(self, record: logging.LogRecord) -> None:
        pace = getattr(record, "pace", None)
        if pace is None:
            return
        more = {
            "who": str(getattr(record, "who", "")),
            "done": pace.done,
            "total": pace.total,
            "loss": getattr(record, "loss", None),
        }
        more |= {"speed": pace.speed, "left": pace.left, "error": _test_error(getattr(record, "rows", None))}
        numbers = {name: _finite(more[name]) for name in ("loss", "speed", "left", "error")}
        self._going = replace(self._going, **more | numbers)
        self._write()

    def renew(self, ended: threading.Event) -> None:
        """Show others, until the job has ended, that it is still there."""
        while not ended.wait(RENEWED_EVERY):
            with suppress(OSError):
                os.utime(self._path)


@contextmanager
def told(folder: Path) -> Iterator[None]:
    """Let others see how far a job is, while a block does it.

    Args:
        folder: `<results>/artifacts/<stage>/<label>-<key>`; of another one nothing is told.
    """
    if folder.parts[-3:-2] != ("artifacts",):
        yield
        return
    stage, name = folder.parts[-2:]
    path = Path(*folder.parts[:-3]) / FOLDER / f"{stage}-{name.rpartition('-')[2]}.json"
    number = os.getpid()
    scribe = _Scribe(path, Going(stage, name, files.place(), socket.gethostname(), number, processes.begun(number), time.time()))
    scribe.addFilter(about(folder))
    ended = threading.Event()
    threading.Thread(target=scribe.renew, args=(ended,), name="progress", daemon=True).start()
    log.addHandler(scribe)
    try:
        yield
    finally:
        ended.set()
        log.removeHandler(scribe)
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _read(path: Path) -> Going | None:
    try:
        found = Going(**json.loads(path.read_text(encoding="utf-8")))
        gone = processes.is_gone(found.machine, found.process, found.begun, path.stat().st_mtime)
    except (OSError, ValueError, TypeError):  # removed in this moment, or of another version
        return None
    return None if gone else found


def going(results: Path) -> list[Going]:
    """List the jobs that work in a results folder now, those that began first first."""
    found = [_read(path) for path in (results / FOLDER).glob("*.json")]
    return sorted((each for each in found if each), key=lambda each: (each.since, each.name))
