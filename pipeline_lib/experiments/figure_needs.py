"""What each figure needs: the runs that its file names in `FIGURES` by functions here; their union is what a plan makes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline_lib.core import registry
from pipeline_lib.experiments import comparisons, starts
from pipeline_lib.experiments.changes import Start
from pipeline_lib.experiments.runs import Run
from pipeline_lib.experiments.settings.options import Grid

Needs = Callable[[Grid], set[Run]]
CRITERIA = ("magnitude", "random")  # that paper C prunes solutions by to see how much can go
_STAGES = registry.stated("stages", "STAGE").values()
_OF_PAIRS = frozenset(table for said in _STAGES if said.get("each") == "pairs" for table in said["tables"])


def _runs(e: Grid, kinds: Iterable[str], ks: Iterable[int], levels: Iterable[int], orders: Iterable[int]) -> set[Run]:
    levels, orders, kinds = list(levels), list(orders), list(kinds)
    return {Run(kind, start, level, o) for start in map(Start, ks) for kind in kinds for level in levels for o in orders}


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
    return _runs(e, ["imp"], e.throughout.rewind, [0], e.orders) if e.throughout else set()


def imp_at_every_k(e: Grid) -> set[Run]:
    """All levels of IMP from every rewind step."""
    return ladders(e, e.rewind)


def ladders(e: Grid, ks: Iterable[int]) -> set[Run]:
    """All levels of IMP from the given rewind steps."""
    return _runs(e, ["imp"], ks, range(e.levels + 1), e.orders[:1])


def _changed(e: Grid, texts: Iterable[str], levels: Iterable[int], kinds: Iterable[str] = ("imp",)) -> set[Run]:
    """Networks of the given levels and kinds under the ladder's own order, each from each of the starts."""
    found = [starts.parse(text, e.task, own=e.own) for text in texts]
    # A mask that the config brings is no ladder's: there is one level of it.
    places = [(start, level) for start in found for level in ([0] if start.masked else levels)]
    return {Run(kind, start.at(level), level, e.orders[0]) for kind in kinds for start, level in places}


def _perturbed(e: Grid, calls: Iterable[str]) -> set[Run]:
    """Sub-networks of every level from every perturbed step, changed in each of the ways, and the ladders beside them."""
    texts = [f"k{k} | {call}" for k in e.perturbed for call in calls]
    return ladders(e, [e.rewind[0], *e.perturbed]) | _changed(e, texts, range(e.levels + 1))


def perturbed_signs(e: Grid) -> set[Run]:
    """Every level of sub-networks, with signs or magnitudes of the initialisation, or drawn anew."""
    return _perturbed(e, [*comparisons.SIGNS, *comparisons.INITIAL])


def perturbed_by_shuffles(e: Grid) -> set[Run]:
    """Every level of sub-networks, with weights shuffled within networks, layers, filters and neurons."""
    return _perturbed(e, [*comparisons.SHUFFLES, *comparisons.NEURONS])


def perturbed_keeping_signs(e: Grid) -> set[Run]:
    """Every level of sub-networks, with weights shuffled among those of one sign."""
    return _perturbed(e, comparisons.SAME_SIGN)


def perturbed_by_noise(e: Grid) -> set[Run]:
    """Every level of sub-networks, with Gaussian noise added to their weights."""
    return _perturbed(e, comparisons.NOISE)


def perturbed_at_sparse_level(e: Grid) -> set[Run]:
    """Sub-networks of the sparse level from every perturbed step, changed in each of paper A's ways, and unchanged ones."""
    beside = _runs(e, ["imp"], [e.rewind[0], *e.perturbed], [e.sparse_level], e.orders[:1])
    return beside | sizes_at_sparse_level(e)


def sizes_at_sparse_level(e: Grid) -> set[Run]:
    """As perturbed_at_sparse_level, the changed ones alone."""
    return _changed(e, [f"k{k} | {call}" for k in e.perturbed for call in comparisons.EVERY], [e.sparse_level])


def masks_at_sparse_level(e: Grid) -> set[Run]:
    """The dense network of every rewind step, and the ladders to the sparse level."""
    return _runs(e, ["imp"], e.rewind, range(e.sparse_level), e.orders[:1])


def taught(e: Grid) -> set[Run]:
    """Ladders from networks that were taught each pretext for each duration, from the first rewind step and the reference."""
    if e.pretraining is None:
        return ladders(e, e.rewind[:1])
    texts = [f"k0 | {pretext} for {duration}" for pretext in e.pretraining.pretexts for duration in e.pretraining.durations]
    return ladders(e, [e.rewind[0], e.pretraining.reference]) | _changed(e, texts, range(e.levels + 1))


def taught_sparse(e: Grid) -> set[Run]:
    """Sparse networks of each kind from the reference, with and without rotation first, and the ladders beside them."""
    if e.pretraining is None:
        return set()
    k, longest, kinds = e.pretraining.reference, e.pretraining.durations[-1], ("imp", "reinit", "random_prune")
    levels = range(1, e.levels + 1)
    own = (each for each in e.pretraining.pretexts if comparisons.family(each) == comparisons.family(comparisons.ROTATION))
    texts = [f"k{k} | mask | {next(own, comparisons.ROTATION)} for {longest}"]
    controls = _runs(e, kinds[1:], [k], levels, e.orders[:1])
    return ladders(e, [e.rewind[0], k]) | controls | _changed(e, texts, levels, kinds)


def from_starts(e: Grid) -> set[Run]:
    """Networks of every level from each of the starts that the config lists, and the ladders of their rewind steps."""
    runs = _changed(e, e.starts, range(e.levels + 1))
    return ladders(e, [e.rewind[0], *(run.k for run in runs if not run.start.checkpoint)]) | runs


def ladder_at_last_k(e: Grid) -> set[Run]:
    """All levels of IMP from the last rewind step."""
    return ladders(e, e.rewind[-1:])


def ladder_and_dense(e: Grid) -> set[Run]:
    """As ladder_at_last_k, and the dense reference, from the first rewind step."""
    return ladder_at_last_k(e) | _runs(e, ["imp"], e.rewind[:1], [0], e.orders[:1])


def robust(e: Grid) -> set[Run]:
    """As ladder_at_last_k, and each level but the last from a start that is moved as far as the next pruning moves it."""
    return ladder_at_last_k(e) | _changed(e, [f"k{e.rewind[-1]} | {comparisons.ROBUST}"], range(e.levels))


def scanned(e: Grid) -> set[Run]:
    """As ladder_and_dense, and networks from solutions that were pruned by each of the asked ratios.

    Magnitude pruning by the ladder's own ratio is the ladder's next level.
    """
    found, asked = ladder_and_dense(e), e.limits
    own = ("magnitude", None if e.pruning.densities or e.pruning.one_shot else e.pruning.fraction)
    if asked is None:
        return found
    for criterion in CRITERIA:
        for fraction in asked.fractions:
            text = f"k{e.rewind[-1]} | mask | prune({starts.number(fraction)}, {criterion})"
            levels = [level for level in asked.levels if (criterion, fraction) != own or level == e.levels]
            found |= _changed(e, [text], levels)
    return found


def strategies(e: Grid) -> set[Run]:
    """Ladders of every retraining strategy from the last rewind step."""
    return ladder_at_last_k(e) | _changed(e, [f"k{e.rewind[-1]} | {each}" for each in e.retraining], range(e.levels + 1))


def branches(e: Grid) -> set[Run]:
    """As ladder_at_last_k, and each of its levels retrained once by every other strategy."""
    return ladder_at_last_k(e) | _changed(
        e, [f"k{e.rewind[-1]} | mask | {each}" for each in e.retraining], range(1, e.levels + 1)
    )


def rewound(e: Grid) -> set[Run]:
    """The ladder that rewinds learning rates, and its masks on networks that are rewound to the last rewind step."""
    text = f"k{e.rewind[-1]} | {comparisons.LR_REWINDING}"
    own = _changed(e, [text], range(e.levels + 1))
    return own | _changed(e, [f"{text} | mask | weight_rewinding"], range(1, e.levels + 1))


def adapted(e: Grid) -> set[Run]:
    """The ladder of the last rewind step, and one whose ratios the training loss decides."""
    if e.adaptive is None:
        return ladder_at_last_k(e)
    return ladder_at_last_k(e) | _changed(e, [f"k{e.rewind[-1]} | {e.adaptive.rule}"], range(e.adaptive.levels + 1))


def nothing(e: Grid) -> set[Run]:
    """No run: measured by a stage that trains its own."""
    return set()


@dataclass(frozen=True)
class Demand:
    """One figure.

    Args:
        runs: the runs that it needs.
        tables: the tables that it is drawn from.
        sparse: whether it is about sparse networks.
        option: key of an experiment without which there is nothing to draw.
        sizes: runs whose starts are made and measured, and which need not be trained.
        steps: rewind steps that it compares, step 0 among them; one is enough for most.
        caption: what the report says under it.
        measures: what else is measured for it: names in `planning.expansion.measurement_nodes`.
        asks: what it is told besides tables, by the names of facts in `planning.plan`.
        as_table: whether it is a table, which is published as one, too.
    """

    runs: Needs
    tables: tuple[str, ...]
    sparse: bool = False
    option: str | None = None
    sizes: Needs = nothing
    steps: int = 1
    caption: str = ""
    measures: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()
    as_table: bool = False

    @property
    def orders(self) -> int:
        """Orders of SGD noise that it takes: two where it is drawn from pairs of runs."""
        return 2 if _OF_PAIRS.intersection(self.tables) else 1

    def lacks(self, grid: Grid) -> str | None:
        """Name what a task's part of an experiment has too little of for this figure, and how much it takes."""
        if len({0, *grid.rewind}) < self.steps:
            return "a rewind step above 0"
        return f"{self.orders} orders" if len(grid.orders) < self.orders else None


# What figures may ask for, by the names of these functions.
NEEDS: dict[str, Needs] = {
    each.__name__: each
    for each in (
        *(dense_at_first_k, dense_at_every_k, sparse_at_first_k, sparse_at_every_k, ladder_at_first_k, ladder_at_every_k),
        *(dense_throughout, imp_at_every_k, ladder_at_last_k, ladder_and_dense, masks_at_sparse_level, sizes_at_sparse_level),
        *(perturbed_signs, perturbed_by_shuffles, perturbed_keeping_signs, perturbed_by_noise, perturbed_at_sparse_level),
        *(taught, taught_sparse, from_starts, robust, scanned, strategies, branches, rewound, adapted, nothing),
    )
}


def _demand(name: str, said: Mapping[str, Any]) -> Demand:
    """Read what a figure's file says of it.

    Raises:
        ValueError: it asks for something that does not exist.
    """
    for key in ("runs", "sizes"):
        if said.get(key, "nothing") not in NEEDS:
            raise registry.unknown(f"{key} of figure {name}", said[key], list(NEEDS), "add a function to figure_needs")
    plain, listed = ("sparse", "option", "steps", "caption", "as_table"), ("measures", "asks")
    for key in said.keys() - {*(keys := ["runs", "sizes", "tables", *plain, *listed])}:
        raise registry.unknown(f"key of figure {name}", key, keys)
    for key in {"runs", "tables", "caption"} - said.keys():
        raise ValueError(f"figure {name} must say its {key} in FIGURES of its file, got none; add it there")
    more: dict[str, Any] = {**{k: said[k] for k in plain if k in said}, **{k: tuple(said.get(k, ())) for k in listed}}
    return Demand(NEEDS[said["runs"]], tuple(said["tables"]), sizes=NEEDS[said.get("sizes", "nothing")], **more)


def _figures() -> dict[str, Demand]:
    said = registry.stated("figures", "FIGURES")
    for name in registry.entries("figures").keys() ^ said.keys():
        raise ValueError(f"figure {name} must be a function and an entry in FIGURES of one file, got only one; add the other")
    return {name: _demand(name, each) for name, each in said.items()}


FIGURES = _figures()


def default_figures(grids: Sequence[Grid]) -> tuple[str, ...]:
    """List the figures that an experiment can draw of all its tasks."""
    sparse = all(grid.sparse_level for grid in grids)
    return tuple(
        name
        for name, demand in FIGURES.items()
        if (sparse or not demand.sparse)
        and (demand.option is None or any(grid.asks(demand.option) for grid in grids))
        and not all(demand.lacks(grid) for grid in grids)
    )
