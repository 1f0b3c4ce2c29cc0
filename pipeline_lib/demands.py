"""What each figure needs: the runs it is drawn from. The union over an experiment's figures is what its plan makes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pipeline_lib.experiment import Grid


@dataclass(frozen=True, order=True)
class Run:
    """One trained network, up to its task and seed.

    Args:
        kind: "imp" (a level of the IMP ladder; level 0 is the dense network), "random_prune" or "reinit".
        k: rewind step that it starts from.
        level: pruning level of its mask.
        order: order of SGD noise from k on; the experiment's first order is the ladder's own.
    """

    kind: str
    k: int
    level: int
    order: int


Needs = Callable[[Grid], set[Run]]


def _runs(e: Grid, kinds: Iterable[str], ks: Iterable[int], levels: Iterable[int], orders: Iterable[int]) -> set[Run]:
    levels, orders, kinds = list(levels), list(orders), list(kinds)
    return {Run(kind, k, level, o) for kind in kinds for k in ks for level in levels for o in orders}


def dense_at_first_k(e: Grid) -> set[Run]:
    """Dense networks from the first rewind step, every order."""
    return _runs(e, ["imp"], e.rewind[:1], [0], e.orders)


def dense_at_every_k(e: Grid) -> set[Run]:
    """Dense networks from every rewind step, every order."""
    return _runs(e, ["imp"], e.rewind, [0], e.orders)


def sparse_at_first_k(e: Grid) -> set[Run]:
    """Every kind of sparse network at the sparse level from the first rewind step, every order, and dense for the level."""
    return _runs(e, ["imp", *e.controls], e.rewind[:1], [e.sparse_level], e.orders)


def sparse_at_every_k(e: Grid) -> set[Run]:
    """Every kind of sparse network at the sparse level and dense ones, every rewind step, every order."""
    return dense_at_every_k(e) | _runs(e, ["imp", *e.controls], e.rewind, [e.sparse_level], e.orders)


def ladder_at_first_k(e: Grid) -> set[Run]:
    """All levels of IMP and the controls from the first rewind step."""
    controls = _runs(e, e.controls, e.rewind[:1], range(1, e.levels + 1), e.orders[:1])
    return controls | _runs(e, ["imp"], e.rewind[:1], range(e.levels + 1), e.orders[:1])


def ladder_at_every_k(e: Grid) -> set[Run]:
    """All levels of IMP from every rewind step, and the controls from the first."""
    return ladder_at_first_k(e) | _runs(e, ["imp"], e.rewind, range(e.levels + 1), e.orders[:1])


def dense_throughout(e: Grid) -> set[Run]:
    """Dense networks from the rewind steps whose training is followed, every order."""
    return _runs(e, ["imp"], e.throughout["rewind"], [0], e.orders) if e.throughout else set()


@dataclass(frozen=True)
class Demand:
    """One figure: the runs it needs, the tables it is drawn from, whether it is about sparse networks, about states kept
    throughout training, or about blocks that are moved one at a time.
    """

    runs: Needs
    tables: tuple[str, ...]
    sparse: bool = False
    throughout: bool = False
    layerwise: bool = False


FIGURES: dict[str, Demand] = {
    "paths_dense": Demand(dense_at_first_k, ("interpolation",)),
    "instability_dense": Demand(dense_at_every_k, ("instability",)),
    "accuracy_by_density": Demand(ladder_at_first_k, ("runs",), sparse=True),
    "paths_sparse": Demand(sparse_at_first_k, ("interpolation",), sparse=True),
    "instability_sparse": Demand(sparse_at_every_k, ("instability", "runs"), sparse=True),
    "best_rewind": Demand(ladder_at_every_k, ("runs",), sparse=True),
    "paths_dense_by_k": Demand(dense_at_every_k, ("interpolation",)),
    "paths_sparse_by_k": Demand(sparse_at_every_k, ("interpolation",), sparse=True),
    "distance_dense": Demand(dense_at_every_k, ("distances",)),
    "distance_sparse": Demand(sparse_at_every_k, ("distances",), sparse=True),
    "learning_curves": Demand(dense_at_first_k, ("curves",)),
    "instability_throughout": Demand(dense_throughout, ("throughout",), throughout=True),
    "instability_by_layer": Demand(dense_at_every_k, ("layers",), layerwise=True),
    "schematic": Demand(dense_at_first_k, ("curves", "interpolation", "instability")),
    "table_1": Demand(dense_at_first_k, ("networks",)),
}


def default_figures(grids: Sequence[Grid]) -> tuple[str, ...]:
    """List the figures that an experiment can draw of all its tasks."""
    sparse, followed = all(grid.sparse_level for grid in grids), any(grid.throughout for grid in grids)
    layerwise = any(grid.layerwise for grid in grids)
    return tuple(
        name
        for name, demand in FIGURES.items()
        if (sparse or not demand.sparse) and (followed or not demand.throughout) and (layerwise or not demand.layerwise)
    )


def with_ancestors(e: Grid, runs: Iterable[Run]) -> set[Run]:
    """Add the ladder runs whose masks the given runs use."""
    found = set(runs)
    for run in runs:
        found |= {Run("imp", run.k, level, e.orders[0]) for level in range(run.level)}
    return found
