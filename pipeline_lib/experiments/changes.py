"""What a start is: a rewind step, and changes of the dense network and of each masked one. `starts` reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from pipeline_lib.core import registry

Bound = dict[str, Any]


@dataclass(frozen=True)
class Perturbation:
    """Changes of the surviving weights, one after the other; `text` is how they are written."""

    text: str
    steps: tuple[Bound, ...]

    @property
    def wants_next_mask(self) -> bool:
        """Whether one of them looks at the next level's mask."""
        return any("next_mask" in registry.entries("perturbations")[step["name"]].required for step in self.steps)


@dataclass(frozen=True)
class Teaching:
    """Training on altered data.

    Args:
        text: how it is written.
        pretexts: what is altered, in this order.
        called: how those are written, and `length` how long it lasts; `text` is both.
        until: the step that it goes to.
        restart: whether it counts steps from 0, at the peak rate, and the task's own schedule begins at 0 after it; else it
            goes on from the step of its start, and so does what follows.
    """

    text: str
    pretexts: tuple[Bound, ...]
    until: int
    restart: bool
    called: str
    length: str


@dataclass(frozen=True)
class Retraining:
    """How pruned networks are trained; `resumes` and `restarts` are those of `retraining.Strategy`."""

    text: str
    strategy: Bound
    resumes: bool
    restarts: bool


@dataclass(frozen=True)
class Rule:
    """How a ladder finds the ratio that it prunes by at each level."""

    text: str
    rule: Bound


@dataclass(frozen=True)
class Further:
    """Prune the level's solution once more: a share of its survivors, by a criterion of `prune`."""

    text: str
    fraction: float
    criterion: str


@dataclass(frozen=True)
class Masked:
    """Mask by a file that the config brings under this name."""

    text: str
    name: str


Change = Perturbation | Teaching | Retraining | Rule | Further | Masked


def _taught(step: int, changes: Sequence[Change]) -> int:
    """Give the step of the schedule after what changes teach."""
    for change in changes:
        if isinstance(change, Teaching):
            step = 0 if change.restart else change.until
    return step


@dataclass(frozen=True)
class Start:
    """What a run starts from.

    Args:
        k: step of the state that all begins with: W_k, or a checkpoint.
        before: changes of the dense network; a ladder prunes, and rewinds to, what they lead to.
        after: changes of each masked network.
        checkpoint: name of the checkpoint that is begun with instead of W_k.
    """

    k: int
    before: tuple[Change, ...] = ()
    after: tuple[Change, ...] = ()
    checkpoint: str = ""

    def __hash__(self) -> int:
        return hash(self.text)

    @cached_property
    def text(self) -> str:
        """The whole, in canonical wording: equal starts have equal texts."""
        return self.change if self.checkpoint else " | ".join([f"k{self.k}", *([self.change] if self.change else [])])

    def worded(self, changes: Sequence[Change]) -> str:
        """Word what its state becomes by changes, one after the other, without saying which of them come after masking."""
        return " | ".join([self.checkpoint or f"k{self.k}", *(change.text for change in changes)])

    @cached_property
    def change(self) -> str:
        """What becomes of W_k, in canonical wording; empty where nothing does. A checkpoint in its place is a change, too."""
        first = next(iter(self.after), None)
        usual = not any(isinstance(change, Perturbation) for change in self.before) and isinstance(first, Perturbation | None)
        before, after = ([change.text for change in changes] for changes in (self.before, self.after))
        begun = [self.checkpoint] if self.checkpoint else []
        return " | ".join([*begun, *before, *([] if usual or isinstance(first, Masked) else ["mask"]), *after])

    @cached_property
    def ladder(self) -> Start:
        """The start of the ladder that masks come from."""
        return replace(self, after=()) if self.after else self

    @property
    def retraining(self) -> Retraining | None:
        """The strategy that masked networks are trained by: the last one; weight rewinding if there is none."""
        return next((c for c in reversed([*self.before, *self.after]) if isinstance(c, Retraining)), None)

    @property
    def rule(self) -> Rule | None:
        """How the ladder finds its ratios; as the config says if there is none."""
        return next((change for change in self.before if isinstance(change, Rule)), None)

    @property
    def further(self) -> Further | None:
        """By how much the solution is pruned once more."""
        return next((change for change in self.after if isinstance(change, Further)), None)

    @property
    def masked(self) -> Masked | None:
        """The mask that it brings, instead of a ladder's."""
        return next((change for change in self.after if isinstance(change, Masked)), None)

    @property
    def parts(self) -> dict[str, str | int | float | None]:
        """What tables say of it (`tables.columns.PARTS`)."""
        changes = (*self.before, *self.after)
        taught = next((change for change in changes if isinstance(change, Teaching)), None)
        return {
            "change": self.change,
            "num_changes": len(changes),
            "strategy": self.retraining.text if self.retraining else "",
            "rule": self.rule.text if self.rule else "",
            "pretext": taught.called if taught else "",
            "pretext_length": taught.length if taught else "",
            "further_criterion": self.further.criterion if self.further else None,
            "further_fraction": self.further.fraction if self.further else None,
        }

    def at(self, level: int) -> Start:
        """Leave out what has nothing to act on at a level: strategies and rules on the dense network."""
        if level or not (self.retraining or self.rule):
            return self
        before, after = (
            tuple(c for c in changes if not isinstance(c, Retraining | Rule)) for changes in (self.before, self.after)
        )
        return replace(self, before=before, after=after)

    def step(self, masked: bool = True) -> int:
        """Give the step of the schedule at which training begins, or would without the changes after masking."""
        begun = _taught(self.k, self.before)
        if self.retraining and self.retraining.restarts:
            begun = 0
        return _taught(begun, self.after) if masked else begun
