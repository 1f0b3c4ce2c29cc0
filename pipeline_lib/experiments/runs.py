"""Trained networks as an experiment names them, and the ladders that their masks come from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pipeline_lib.experiments import starts
from pipeline_lib.experiments.changes import Start
from pipeline_lib.experiments.settings.options import Grid

FRESH = 10**10  # above all orders that a config may name


@dataclass(frozen=True, order=True)
class Run:
    """One trained network, up to its task and seed.

    Args:
        kind: "imp" (a level of the IMP ladder; level 0 is the dense network), "random_prune" or "reinit".
        k: rewind step that it starts from.
        level: pruning level of its mask.
        order: order of SGD noise from k on; the experiment's first order is the ladder's own.
        start: what it starts from, in `starts.Start`'s wording, where that is not W_k itself.
    """

    kind: str
    k: int
    level: int
    order: int
    start: str = ""


def noise(e: Grid, level: int, order: int) -> int:
    """Number the SGD noise that a level trains under: its order; where levels draw anew, the ladder's own with the level.

    Source: paper B, algorithm 2, whose rounds draw anew; paper C's, which share one order of batches.
    """
    return order + FRESH * level if e.ladder_order == "fresh" and order == e.orders[0] else order


def wording(start: Start, level: int) -> str:
    """Word a start as a run does: nothing where it is W_k itself."""
    text = start.at(level).text
    return "" if text == f"k{start.k}" else text


def rung(e: Grid, run: Run, level: int) -> Run:
    """Give a level of the ladder that a run's mask comes from."""
    text = ""
    if run.start:
        start = starts.parse(run.start, e.task)
        text = wording(Start(start.k, start.before), level)
    return Run("imp", run.k, level, e.orders[0], text)


def with_ancestors(e: Grid, runs: Iterable[Run]) -> set[Run]:
    """Add the ladder runs that the given runs use for masks, or go on from."""
    found = set(runs)
    for run in runs:
        if e.pruning.at == "end" or _uses_solutions(e, run):
            found |= {rung(e, run, level) for level in range(run.level)}
    return found


def _uses_solutions(e: Grid, run: Run) -> bool:
    """Tell whether a run comes from trained networks even where masks are made of what training starts from."""
    start = starts.parse(run.start or f"k{run.k}", e.task)
    return start.rule is not None or bool(start.retraining and start.retraining.resumes)
