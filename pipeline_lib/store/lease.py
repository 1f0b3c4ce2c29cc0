"""Who works in a results folder: one run at a time, so that two checkouts that share it never make the same artifact at once.

Snakemake's own lock lies in each checkout. The lease lies in the results folder. Its holder renews it every few seconds, so that
one whose holder was killed, or whose machine went down, is recognised and taken over.
"""

from __future__ import annotations

import atexit
import fcntl
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline_lib.core import files
from pipeline_lib.store import artifacts, processes

FILE = "plans/.lease.json"
RENEWED_EVERY = 15.0  # seconds


@dataclass(frozen=True)
class Holder:
    """Who works in a folder.

    Args:
        machine: what its process number is unique in.
        host: the machine's name.
        process: its number.
        begun: when it began, as its system words it.
        checkout: where its code is.
        since: when it took hold of the folder.
        token: tells this lease from later ones.
    """

    machine: str
    host: str
    process: int
    begun: str | None
    checkout: str
    since: str
    token: str

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}, started from {self.checkout} at {self.since}"

    def is_gone(self, renewed: float) -> bool:
        """Tell whether it has ended, or its machine has been silent since a time too long ago."""
        return processes.is_gone(self.machine, self.process, self.begun, renewed)


def _read(path: Path) -> Holder | None:
    """Read a lease; a damaged one names nobody who could be asked."""
    try:
        return Holder(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


@contextmanager
def _alone(results: Path) -> Iterator[None]:
    """Let one process at a time look at the lease and write it."""
    with (results / FILE).with_suffix(".lock").open("w") as file:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def holder(results: Path) -> Holder | None:
    """Tell who works in a results folder; None if nobody does."""
    found = _read(results / FILE)
    try:
        return None if found is None or found.is_gone((results / FILE).stat().st_mtime) else found
    except FileNotFoundError:  # released in this moment
        return None


class Lease:
    """The right to work in a results folder, until it is released or the process ends.

    Args:
        results: the folder.
        checkout: where the code is that works there, for others to read.

    Raises:
        ValueError: another process holds it, or it cannot be written.
    """

    def __init__(self, results: Path, checkout: Path) -> None:
        self._path, self._own, self._process = results / FILE, uuid.uuid4().hex, os.getpid()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.with_suffix(".lock").touch()
        except OSError as error:
            raise files.unwritable(self._path, error) from None
        with _alone(results):
            other = holder(results)
            if other is not None:
                raise ValueError(
                    f"results folder {results} must be worked in by one run at a time, got {other}; "
                    "wait until it has ended, or set another results folder"
                )
            since = time.strftime("%Y-%m-%d %H:%M:%S")
            own = Holder(
                files.place(),
                socket.gethostname(),
                self._process,
                processes.begun(self._process),
                str(checkout),
                since,
                self._own,
            )
            artifacts.write_text(self._path, json.dumps(vars(own)) + "\n")
        self._ended = threading.Event()
        threading.Thread(target=self._renew, name="lease", daemon=True).start()
        atexit.register(self.release)

    def _is_own(self) -> bool:
        found = _read(self._path)
        return found is not None and found.token == self._own

    def _renew(self) -> None:
        while not self._ended.wait(RENEWED_EVERY):
            with suppress(OSError):
                if self._is_own():
                    os.utime(self._path)

    def release(self) -> None:
        """Let others work in the folder; nothing happens the second time."""
        self._ended.set()
        if os.getpid() == self._process and self._is_own():
            self._path.unlink(missing_ok=True)


@contextmanager
def held(results: Path) -> Iterator[None]:
    """Hold a results folder while a block runs, from the checkout that is the working directory.

    Args:
        results: the folder.

    Raises:
        ValueError: another process holds it, or it cannot be written.
    """
    lease = Lease(results, Path.cwd())
    try:
        yield
    finally:
        lease.release()
