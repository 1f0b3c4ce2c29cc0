"""Trained networks as an experiment names them, and the ladders that their masks come from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pipeline_lib.experiments.changes import Start
from pipeline_lib.experiments.settings.options import Grid

FRESH = 10**10  # above all orders that a config may name


@dataclass(frozen=True)
class Run:
    """One trained network, up to its task and seed.

    Args:
        kind: "imp" (a level of the IMP ladder; level 0 is the dense network), "random_prune" or "reinit".
        start: what it starts from; nothing that has no effect at its level.
        level: pruning level of its mask.
        order: order of SGD noise from its rewind step on; the experiment's first order is the ladder's own.
    """

    kind: str
    start: Start
    level: int
    order: int

    @property
    def k(self) -> int:
        """Rewind step that it starts from."""
        return self.start.k

    def __lt__(self, other: Run) -> bool:
        return self._place < other._place

    @property
    def _place(self) -> tuple[str, int, int, int, str]:
        return self.kind, self.k, self.level, self.order, self.start.text


def noise(e: Grid, level: int, order: int) -> int:
    """Number the SGD noise that a level trains under: its order; where levels draw anew, the ladder's own with the level.

    Source: paper B, algorithm 2, whose rounds draw anew; paper C's, which share one order of batches.
    """
    return order + FRESH * level if e.ladder_order == "fresh" and order == e.orders[0] else order


def rung(e: Grid, run: Run, level: int) -> Run:
    """Give a level of the ladder that a run's mask comes from."""
    return Run("imp", run.start.ladder.at(level), level, e.orders[0])


def with_ancestors(e: Grid, runs: Iterable[Run]) -> set[Run]:
    """Add the ladder runs that the given runs use for masks, or go on from."""
    found = set(runs)
    for run in runs:
        if e.pruning.at == "end" or _uses_solutions(run.start):
            found |= {rung(e, run, level) for level in range(run.level)}
    return found


def _uses_solutions(start: Start) -> bool:
    """Tell whether a run comes from trained networks even where masks are made of what training starts from."""
    return start.rule is not None or bool(start.retraining and start.retraining.resumes)
