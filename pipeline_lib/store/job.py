"""One job: what a stage is told, and what it may ask."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from pipeline_lib.store import environment

log = logging.getLogger("pipeline_lib")
_AT_WORK: ContextVar[Path | None] = ContextVar("at work", default=None)  # folder of the job
_TOLD: ContextVar[bool] = ContextVar("told to stop", default=False)  # a job of this process was
T = TypeVar("T")
Spec_co = TypeVar("Spec_co", bound=Mapping[str, Any], covariant=True)


class Preempted(BaseException):
    """The job was asked to stop, and has saved what it needs to go on."""


@dataclass(frozen=True)
class Job(Generic[Spec_co]):
    """One node to make.

    Args:
        key: the node's key.
        spec: what to make; the `TypedDict` that the stage declares as `Spec`.
        folder: where to.
        reads: folders of the artifacts to read, by role.
        data_root: folder of the data sets, or None.
        facts: how it is made, see `environment.facts`.
        members: tells of an artifact of the plan, by its key, the members along the first axis of its tensors.
        brought: files that the config brings, by the digest of their bytes.
    """

    key: str
    spec: Spec_co
    folder: Path
    reads: dict[str, list[Path]]
    data_root: Path | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    members: Callable[[str], Sequence[Sequence[int]]] = lambda key: ()
    brought: Mapping[str, Path] = field(default_factory=dict)

    def file(self, role: str, name: str) -> Path:
        """Path of a file of the only artifact in a role."""
        return self.reads[role][0] / name

    def go_on(self, kept: Mapping[str, Any]) -> None:
        """Note that an earlier try's work is used, which may have been done elsewhere.

        Args:
            kept: header of the file that the earlier try left.
        """
        self.facts["made_in"] = environment.united([self.facts.get("made_in", {}), kept.get("made_in", {})])

    def meta(self, **more: Any) -> dict[str, Any]:
        """Header of an artifact: its node, and how it was made."""
        return {"key": self.key, "spec": self.spec, **self.facts, **more}


@contextmanager
def told_by_sigterm(*stops: Callable[[], None]) -> Iterator[None]:
    """Let SIGTERM ask in a block that what it does is stopped, where it would end the process."""

    def told(*_: object) -> None:
        _TOLD.set(True)
        for stop in stops:
            stop()

    before = signal.signal(signal.SIGTERM, told)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def in_turn(jobs: Iterable[T]) -> Iterator[T]:
    """Give jobs that this process does one after the other, and none after one that was told to stop when all of it was done.

    Raises:
        Preempted: that one has ended well, and another would begin.
    """
    _TOLD.set(False)
    for each in jobs:
        if _TOLD.get():
            raise Preempted("stopped before another artifact; run again to go on from there")
        yield each


@contextmanager
def at_work(folder: Path) -> Iterator[None]:
    """Let what is logged in a block be about the job of a folder, where a process does several."""
    before = _AT_WORK.set(folder)
    try:
        yield
    finally:
        _AT_WORK.reset(before)


def about(folder: Path) -> Callable[[logging.LogRecord], bool]:
    """Make a filter of log lines that lets pass what is about the job of a folder, or about none in particular.

    A line that is logged while several jobs work side by side says by `extra={"job": folder}` which it is about.
    """
    return lambda record: (getattr(record, "job", None) or _AT_WORK.get()) in (None, folder)
