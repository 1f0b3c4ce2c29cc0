"""Checkpoints and masks that a config brings, as starts and plans know them: by name, step and digest."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pipeline_lib.core import registry


@dataclass(frozen=True)
class Brought:
    """One file.

    Args:
        name: in the config.
        sha256: of its bytes.
        step: of a checkpoint's task at which it is.
    """

    name: str
    sha256: str
    step: int = 0


@dataclass(frozen=True)
class Own:
    """The checkpoints of a task's network, and all masks."""

    checkpoints: tuple[Brought, ...] = ()
    masks: tuple[Brought, ...] = ()

    def checkpoint(self, name: str, what: str) -> Brought:
        """Look up a checkpoint.

        Raises:
            ValueError: the task has none of this name.
        """
        return _named(self.checkpoints, name, what, "add it under checkpoints, of this task")

    def mask(self, name: str, what: str) -> Brought:
        """Look up a mask.

        Raises:
            ValueError: there is none of this name.
        """
        return _named(self.masks, name, what, "add it under masks")


NONE = Own()


def _named(among: tuple[Brought, ...], name: str, what: str, remedy: str) -> Brought:
    found = {each.name: each for each in among}
    if name not in found:
        raise registry.unknown(what, name, list(found) or ["none"], remedy)
    return found[name]


def worded(start: str, step: int) -> Own:
    """Give what a start in its words names, for reading it where no config is at hand.

    Args:
        start: such as `a | mask(snip)`.
        step: that it begins at.
    """
    base = start.partition("|")[0].strip()
    return Own((Brought(base, "", step),), tuple(Brought(name, "") for name in re.findall(r"\bmask\((\w+)\)", start)))
