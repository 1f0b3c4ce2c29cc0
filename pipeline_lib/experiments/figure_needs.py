"""What each figure needs: the runs it is drawn from. The union over an experiment's figures is what its plan makes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pipeline_lib.experiments import comparisons, starts
from pipeline_lib.experiments.experiment import Grid
from pipeline_lib.experiments.runs import Run, wording

Needs = Callable[[Grid], set[Run]]
CRITERIA = ("magnitude", "random")  # that paper C prunes solutions by to see how much can go


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


def ladders(e: Grid, ks: Iterable[int]) -> set[Run]:
    """All levels of IMP from the given rewind steps."""
    return _runs(e, ["imp"], ks, range(e.levels + 1), e.orders[:1])


def _changed(e: Grid, texts: Iterable[str], levels: Iterable[int], kinds: Iterable[str] = ("imp",)) -> set[Run]:
    """Networks of the given levels and kinds under the ladder's own order, each from each of the starts."""
    found = [starts.parse(text, e.task) for text in texts]
    return {Run(kind, s.k, level, e.orders[0], wording(s, level)) for kind in kinds for s in found for level in levels}


def perturbed(calls: Iterable[str]) -> Needs:
    """Sub-networks of every level from every perturbed step, changed in each of the ways, and the ladders beside them."""

    def needs(e: Grid) -> set[Run]:
        texts = [f"k{k} | {call}" for k in e.perturbed for call in calls]
        return ladders(e, [e.rewind[0], *e.perturbed]) | _changed(e, texts, range(e.levels + 1))

    return needs


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


def _pretrained(e: Grid, pretexts: Iterable[str], durations: Iterable[str]) -> list[str]:
    return [f"k0 | {pretext} for {duration}" for pretext in pretexts for duration in durations]


def pretrained(e: Grid) -> set[Run]:
    """Ladders from networks pretrained on each pretext for each duration, from the first rewind step and the reference."""
    asked = e.pretraining or {"pretexts": [], "durations": [], "reference": e.rewind[0]}
    texts = _pretrained(e, asked["pretexts"], asked["durations"])
    return ladders(e, [e.rewind[0], asked["reference"]]) | _changed(e, texts, range(e.levels + 1))


def pretrained_sparse(e: Grid) -> set[Run]:
    """Sparse networks of each kind from the reference, with and without rotation first, and the ladders beside them."""
    if e.pretraining is None:
        return set()
    k, longest, kinds = e.pretraining["reference"], e.pretraining["durations"][-1], ("imp", "reinit", "random_prune")
    levels = range(1, e.levels + 1)
    texts = [f"k{k} | mask | {comparisons.ROTATION} for {longest}"]
    controls = _runs(e, kinds[1:], [k], levels, e.orders[:1])
    return ladders(e, [e.rewind[0], k]) | controls | _changed(e, texts, levels, kinds)


def from_starts(e: Grid) -> set[Run]:
    """Networks of every level from each of the starts that the config lists, and the ladders of their rewind steps."""
    runs = _changed(e, e.starts, range(e.levels + 1))
    return ladders(e, [e.rewind[0], *(run.k for run in runs)]) | runs


def ladder_at_last_k(e: Grid) -> set[Run]:
    """All levels of IMP from the last rewind step."""
    return ladders(e, e.rewind[-1:])


def robust(e: Grid) -> set[Run]:
    """As ladder_at_last_k, and each level but the last from a start that is moved as far as the next pruning moves it."""
    return ladder_at_last_k(e) | _changed(e, [f"k{e.rewind[-1]} | {comparisons.ROBUST}"], range(e.levels))


def scanned(e: Grid) -> set[Run]:
    """As ladder_at_last_k, and networks from solutions that were pruned by each of the asked ratios.

    Magnitude pruning by the ladder's own ratio is the ladder's next level.
    """
    found, asked = ladder_at_last_k(e), e.limits or {"levels": [], "fractions": []}
    own = ("magnitude", None if {"densities", "one_shot"} & set(e.pruning) else e.pruning["fraction"])
    for criterion in CRITERIA:
        for fraction in asked["fractions"]:
            text = f"k{e.rewind[-1]} | mask | prune({starts.number(fraction)}, {criterion})"
            levels = [level for level in asked["levels"] if (criterion, fraction) != own or level == e.levels]
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
    asked = e.adaptive or {"levels": 0, "rule": "adaptive"}
    return ladder_at_last_k(e) | _changed(e, [f"k{e.rewind[-1]} | {asked['rule']}"], range(asked["levels"] + 1))


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
    """

    runs: Needs
    tables: tuple[str, ...]
    sparse: bool = False
    option: str | None = None
    sizes: Needs = nothing
    steps: int = 1

    @property
    def orders(self) -> int:
        """Orders of SGD noise that it takes: two where it is drawn from pairs of runs."""
        return 2 if {"interpolation", "instability", "distances", "throughout", "layers"} & set(self.tables) else 1

    def lacks(self, grid: Grid) -> str | None:
        """Name what a task's part of an experiment has too little of for this figure, and how much it takes."""
        if len({0, *grid.rewind}) < self.steps:
            return "a rewind step above 0"
        return f"{self.orders} orders" if len(grid.orders) < self.orders else None


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
    "instability_throughout": Demand(dense_throughout, ("throughout",), option="throughout"),
    "instability_by_layer": Demand(dense_at_every_k, ("layers",), option="layerwise"),
    "schematic": Demand(dense_at_first_k, ("curves", "interpolation", "instability")),
    "table_1": Demand(dense_at_first_k, ("networks",)),
    "accuracy_by_rewind": Demand(lambda e: ladders(e, e.rewind), ("runs",), sparse=True),
    "telemetry": Demand(nothing, ("telemetry",), option="telemetry"),
    "timeline": Demand(nothing, ("timeline",), option="telemetry"),
    "sign_changes": Demand(masks_at_sparse_level, ("signs",), steps=2),
    "curvature": Demand(nothing, ("curvature",), option="curvature"),
    "signs_and_magnitudes": Demand(
        perturbed([*comparisons.SIGNS, *comparisons.INITIAL]), ("runs",), sparse=True, option="perturbed"
    ),
    "shuffles": Demand(perturbed([*comparisons.SHUFFLES, *comparisons.NEURONS]), ("runs",), sparse=True, option="perturbed"),
    "same_sign_shuffles": Demand(perturbed(comparisons.SAME_SIGN), ("runs",), sparse=True, option="perturbed"),
    "noise": Demand(perturbed(comparisons.NOISE), ("runs",), sparse=True, option="perturbed"),
    "effective_deviation": Demand(
        perturbed_at_sparse_level, ("perturbations", "runs", "correlations"), sparse=True, option="perturbed"
    ),
    "perturbation_sizes": Demand(nothing, ("perturbations",), sparse=True, option="perturbed", sizes=sizes_at_sparse_level),
    "pretraining": Demand(pretrained, ("runs",), sparse=True, option="pretraining"),
    "sparse_pretraining": Demand(pretrained_sparse, ("runs",), sparse=True, option="pretraining"),
    "accuracy_by_start": Demand(from_starts, ("runs",), option="starts"),
    "landscape": Demand(ladder_at_last_k, ("geometry",), sparse=True, option="connectivity"),
    "level_paths": Demand(lambda e: ladders(e, e.rewind), ("paths", "barriers", "runs"), sparse=True, option="connectivity"),
    "pruning_planes": Demand(ladder_at_last_k, ("planes", "marks", "sets"), sparse=True, option="planes"),
    "robustness": Demand(robust, ("barriers", "runs"), sparse=True, option="connectivity"),
    "pruning_limits": Demand(scanned, ("limits", "cuts", "runs"), sparse=True, option="limits"),
    "spectra": Demand(ladder_at_last_k, ("spectrum",), sparse=True, option="limits"),
    "direction_planes": Demand(ladder_at_last_k, ("planes", "marks", "sets"), sparse=True, option="planes"),
    "magnitudes": Demand(branches, ("magnitudes",), sparse=True, option="retraining"),
    "rewound_masks": Demand(rewound, ("runs",), sparse=True, option="retraining"),
    "retraining": Demand(strategies, ("runs", "magnitudes"), sparse=True, option="retraining"),
    "adaptive": Demand(adapted, ("runs", "ratios"), sparse=True, option="adaptive"),
    "error_by_rewind": Demand(lambda e: ladders(e, e.rewind), ("runs",), sparse=True, option="connectivity"),
    "lemma": Demand(nothing, ("wells",), option="lemma"),
}


def default_figures(grids: Sequence[Grid]) -> tuple[str, ...]:
    """List the figures that an experiment can draw of all its tasks."""
    sparse = all(grid.sparse_level for grid in grids)
    return tuple(
        name
        for name, demand in FIGURES.items()
        if (sparse or not demand.sparse)
        and (demand.option is None or any(getattr(grid, demand.option) for grid in grids))
        and not all(demand.lacks(grid) for grid in grids)
    )
