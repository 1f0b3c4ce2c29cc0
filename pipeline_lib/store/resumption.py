"""Going on after a job was stopped: what it has so far, in an undeclared file beside its outputs."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from pipeline_lib.core import algebra
from pipeline_lib.core.types import Progress, State, Tensors
from pipeline_lib.store import artifacts
from pipeline_lib.store.job import Job, Preempted, log, told_by_sigterm

T = TypeVar("T")
SAVE_SECONDS = 180.0
NAME = ".resume.safetensors"


@dataclass(frozen=True)
class Saved:
    """How far one member is: its state with the optimiser's slots, running sums, and learning curve."""

    state: State
    sums: list[float]
    curve: list[dict[str, Any]]


@contextmanager
def trusted(path: Path) -> Iterator[None]:
    """Take what whole files with wrong facts can raise for a file that cannot be used."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, IndexError, RuntimeError, OverflowError) as error:
        found = f"{type(error).__name__}: {error}"
        raise ValueError(f"file {path} must be what a try of this job kept, got {found}; it is left aside") from None


def _write(path: Path, members: dict[int, Saved], meta: dict[str, Any]) -> None:
    tensors: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for i, saved in members.items():
        for part in ("params", "buffers", "slots"):
            tensors |= {f"{i}/{part}/{name}": tensor for name, tensor in getattr(saved.state, part).items()}
        names = {part: list(getattr(saved.state, part)) for part in ("params", "buffers")}  # safetensors sorts them
        rest[str(i)] = {"step": saved.state.step, "sums": saved.sums, "curve": saved.curve, **names}
    artifacts.write_tensors(path, tensors, meta | {"members": rest})


def _read(path: Path) -> dict[int, Saved]:
    """Read how far members are.

    Raises:
        ValueError: the file is damaged, or not of this kind.
    """
    tensors, meta = artifacts.read_tensors(path)
    if "members" not in meta:
        raise ValueError(f"file {path} must have members, got {sorted(meta)}; it is left aside")
    found = {}
    with trusted(path):
        for i, rest in meta["members"].items():
            parts: dict[str, dict[str, Any]] = {part: dict.fromkeys(rest[part]) for part in ("params", "buffers")} | {"slots": {}}
            for name, tensor in tensors.items():
                member, part, own = name.split("/", 2)
                if member == i:
                    parts[part][own] = tensor
            found[int(i)] = Saved(State(**parts, step=rest["step"]), rest["sums"], rest["curve"])
    return found


def _like(given: Any, wanted: Tensors) -> bool:
    """Tell whether tensors have the names, in their order, the shapes and the number formats of others."""
    return list(given) == list(wanted) and all(
        isinstance(given[n], Tensor) and (given[n].shape, given[n].dtype) == (t.shape, t.dtype) for n, t in wanted.items()
    )


def _check_fit(saved: Saved, start: State, slots: Collection[str], until: int) -> None:
    """Refuse what cannot be on the way from a start to a step."""
    state, size = saved.state, sum(tensor.numel() for tensor in start.params.values())
    facts = {
        "parameters": _like(state.params, start.params),
        "buffers": _like(state.buffers, start.buffers),
        "slots": set(state.slots) == set(slots if state.step != start.step else ())
        and all(tensor.shape in ((), (size,)) for tensor in state.slots.values()),
        "step": type(state.step) is int and start.step <= state.step <= until,
        "sums": [type(value) for value in saved.sums] == [float] * 4,
        "curve": all(type(row["step"]) is int and set(map(type, row)) == {str} for row in saved.curve),
    }
    if wrong := [name for name, right in facts.items() if not right]:
        rule = f"kept {wrong[0]} must be of a run from step {start.step} to {until}"
        raise ValueError(f"{rule}, got {state.step} as its step; it is left aside")


@dataclass
class Keeper:
    """Saves a cohort every few minutes, and when the job is told to stop.

    Args:
        path: the file.
        meta: its header.
        until: the step at which members are done.
        members: how far each member is, by number; those that have not begun are missing.
    """

    path: Path
    meta: dict[str, Any]
    until: int
    members: dict[int, Saved] = field(default_factory=dict)
    _stopping: bool = False
    _round: set[int] | None = None
    _due: float = field(default_factory=lambda: time.monotonic() + SAVE_SECONDS)

    def check(self, starts: Sequence[State], slots: Collection[str]) -> None:
        """Forget what an earlier try left if it cannot be of these runs.

        Args:
            starts: of the runs, by number.
            slots: names of the optimiser's tensors.
        """
        try:
            with trusted(self.path):
                for i, saved in self.members.items():
                    _check_fit(saved, starts[i], slots, self.until)
        except ValueError as error:
            log.warning("starting anew, what was kept cannot be used: %s", error)
            self.members.clear()

    def report(self, i: int, progress: Progress, curve: Callable[[], list[dict[str, Any]]]) -> None:
        """Take one report of the training loop about member `i`.

        When a save is due, members are kept at their next reports; the file is written once one of them reports again.

        Raises:
            Preempted: the job was told to stop and the file is written.
        """
        if self._round is not None and i in self._round:
            _write(self.path, self.members, self.meta)
            self._round, self._due = None, time.monotonic() + SAVE_SECONDS
            if self._stopping:
                raise Preempted(f"stopped at step {progress.step}; run again to go on from there")
        if self._round is None and (self._stopping or time.monotonic() >= self._due):
            self._round = set()
        if self._round is not None:
            self._round.add(i)
        if self._round is not None or progress.step == self.until:
            # Copies do not pile up on the device until all members have theirs.
            state = algebra.moved(progress.state(), torch.device("cpu"))
            self.members[i] = Saved(state, progress.sums.get(), list(curve()))

    def keep(self) -> None:
        """Write down how far members are."""
        if self.members:
            _write(self.path, self.members, self.meta)

    def stop(self) -> None:
        """Save at the next reports and end the job."""
        self._stopping = True


@dataclass
class Notes:
    """What a job that does not train has so far, saved every few minutes and when it is told to stop.

    Args:
        path: the file.
        meta: its header.
        tensors: by name; an earlier try's, until this one replaces them.
        facts: all the rest, as JSON.
    """

    path: Path
    meta: dict[str, Any]
    tensors: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    _stopping: bool = False
    _due: float = field(default_factory=lambda: time.monotonic() + SAVE_SECONDS)

    def read(self) -> None:
        """Take over what the file has."""
        tensors, meta = artifacts.read_tensors(self.path)
        if "facts" not in meta:
            raise ValueError(f"file {self.path} must have facts, got {sorted(meta)}; it is left aside")
        if not isinstance(meta["facts"], dict):
            raise ValueError(f"facts of {self.path} must be a mapping, got {type(meta['facts']).__name__}; it is left aside")
        self.tensors, self.facts = tensors, meta["facts"]
        log.info("going on from what an earlier try has found")

    def recall(self, read: Callable[[], T], anew: T) -> T:
        """Read from what an earlier try left; if that cannot be what a try of this job left, forget it.

        Args:
            read: takes it from tensors and facts, and raises what it may.
            anew: stands for nothing found so far.
        """
        try:
            with trusted(self.path):
                return read()
        except ValueError as error:
            log.warning("starting anew, what was kept cannot be used: %s", error)
            self.tensors, self.facts = {}, {}
            return anew

    def save(self) -> None:
        """Write the file if that is due; call this wherever tensors and facts are of the same moment.

        Raises:
            Preempted: the job was told to stop and the file is written.
        """
        if self._stopping or time.monotonic() >= self._due:
            artifacts.write_tensors(self.path, self.tensors, self.meta | {"facts": self.facts})
            self._due = time.monotonic() + SAVE_SECONDS
        if self._stopping:
            raise Preempted("stopped on the way; run again to go on from there")

    def stop(self) -> None:
        """Save at the next chance and end the job."""
        self._stopping = True


@contextmanager
def _resumed(path: Path, read: Callable[[], None], stop: Callable[[], None]) -> Iterator[None]:
    """Read what an earlier try of a job left, if it can be used, and let SIGTERM stop this one; the file goes at a good end."""
    if path.is_file():
        try:
            read()
        except ValueError as error:
            log.warning("starting anew, what was kept cannot be used: %s", error)
    with told_by_sigterm(stop):
        yield
    path.unlink(missing_ok=True)


@contextmanager
def all_stopped(keepers: Sequence[Keeper]) -> Iterator[None]:
    """Let SIGTERM stop several jobs of this process whose members train side by side; when one of them ends, all are kept."""
    with told_by_sigterm(*(keeper.stop for keeper in keepers)):
        try:
            yield
        except Preempted:
            for keeper in keepers:
                keeper.keep()
            raise


def _header(job: Job[Any]) -> dict[str, Any]:
    return {"key": job.key, "made_in": job.facts.get("made_in", {})}


def _gone_on(job: Job[Any], path: Path) -> dict[str, Any]:
    """Note where an earlier try worked, and give the header that says so."""
    with trusted(path):
        job.go_on(artifacts.read_meta(path))
    return _header(job)


@contextmanager
def kept(job: Job[Any], until: int) -> Iterator[Keeper]:
    """Go on from what an earlier try of this job left, and keep what this one does; the file goes when the block ends well."""
    keeper = Keeper(job.folder / NAME, _header(job), until)

    def read() -> None:
        members = _read(keeper.path)
        keeper.meta, keeper.members = _gone_on(job, keeper.path), members
        log.info("going on at step %s", ", ".join(str(saved.state.step) for saved in keeper.members.values()))

    with _resumed(keeper.path, read, keeper.stop):
        yield keeper


@contextmanager
def noted(job: Job[Any]) -> Iterator[Notes]:
    """Give the job's notes, an earlier try's if there are any; the file goes when the block ends well."""
    notes = Notes(job.folder / NAME, _header(job))

    def read() -> None:
        notes.meta = _gone_on(job, notes.path)
        notes.read()

    with _resumed(notes.path, read, notes.stop):
        yield notes
