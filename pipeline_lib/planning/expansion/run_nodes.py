"""What is measured of each run and of pairs of runs, from one start or across seeds, as trained and aligned, for one task."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from pipeline_lib.core import registry
from pipeline_lib.experiments import config
from pipeline_lib.experiments.figure_needs import FIGURES
from pipeline_lib.experiments.runs import Run, noise
from pipeline_lib.experiments.settings.groups import stage_options
from pipeline_lib.experiments.settings.options import Grid
from pipeline_lib.planning import named_stages as stages
from pipeline_lib.planning.declared import STAGES
from pipeline_lib.planning.expansion.labels import label, span
from pipeline_lib.planning.expansion.training_nodes import TrainingNodes
from pipeline_lib.planning.nodes import Node, Parents

if TYPE_CHECKING:
    from pipeline_lib.store import specs

# The orders of one job, and its node.
Jobs = list[tuple[tuple[int, ...], Node]]


def wanted(e: Grid, figures: Iterable[str], each: str) -> list[str]:
    """List the stages that are planned for each of something: by what figures ask for, and the config where it may."""
    unasked = stage_options().keys() - e.asked
    tables = {table for figure in figures for table in FIGURES[figure].tables}
    found = [stage for stage in STAGES.values() if stage.each == each and tables.intersection(stage.tables)]
    return [stage.name for stage in found if stage.name not in unasked]


def methods(e: Grid, pairs: str) -> list[str]:
    """List what pairs within seeds, across them, or of successive levels are matched by; nothing where that is not asked for.

    Raises:
        ValueError: it is, and the task's network does not say which of its units may be permuted, or takes other arguments than
            the function that does.
    """
    option = e.asked.get("align")
    if option is None or pairs not in option["pairs"]:
        return []
    name, asks = e.task["network"]["name"], f"network.name of task {e.task['name']}, which is to be aligned,"
    found, network = registry.lookup("symmetries", name, asks), registry.lookup("networks", name, asks)
    if found.annotations.keys() != network.annotations.keys():
        rule = f"symmetries of {name} must take the arguments of the network, {', '.join(network.annotations)}"
        raise ValueError(f"{rule}, got {', '.join(found.annotations)}; give them the same")
    return list(option["methods"])


def aligns(e: Grid, figures: Iterable[str], pairs: str) -> bool:
    """Tell whether pairs within seeds, or across them, are to be aligned: figures and the config ask for it."""
    return any("alignments" in FIGURES[each].tables for each in figures) and bool(methods(e, pairs))


def align(
    training: TrainingNodes, pairs: specs.Pairs, name: str, parents: Parents, method: str, other_level: int | None = None
) -> Node:
    """Add the job that permutes the second of each pair; `other_level` is theirs, if it is another."""
    spec: stages.align.Spec = {
        **pairs,
        "other_level": pairs["level"] if other_level is None else other_level,
        "members": [[seed, order] for _, _, order, seed in map(_whole, pairs["pairs"])],
        "alignment": method,
        "starts": training.e.asked["align"]["starts"],
        "examples": training.e.asked["align"]["examples"],
    }
    return training.plan.add(stages.align, label(name, method), spec, parents)


def is_aligned(e: Grid, run: Run) -> bool:
    """Tell whether runs are compared so: dense networks, and the ladder's at the sparse level."""
    return run.kind == "imp" and run.level in (0, e.sparse_level) and not run.start.change


def lines(training: TrainingNodes, pairs: specs.Pairs, name: str, parents: Parents, methods: Iterable[str]) -> list[Node]:
    """Add lines between pairs, the second of which are permuted, and the jobs that do so.

    Args:
        training: whose plan and settings they are.
        pairs: which.
        name: readable part of the folder's name.
        parents: the data, states, and masks if they have any.
        methods: what they are matched by; `none` for lines between networks as they were trained.
    """
    e, made = training.e, list[Node]()
    for method in methods:
        read = {role: parents[role] for role in ("data", "states")}
        if method != "none":
            made.append(align(training, pairs, name, parents, method))
            read["aligned"] = made[-1:]
        between: stages.interpolate.Spec = {
            **pairs,
            "alphas": e.alphas,
            "splits": list(e.splits),
            "batchnorm": list(e.batchnorm),
            "alignment": method,
        }
        made.append(training.plan.add(stages.interpolate, label(name, "" if method == "none" else method), between, read))
    return made


def _whole(pair: Sequence[int]) -> Sequence[int]:
    """Spell out a pair's second seed."""
    return [*pair, pair[0]] if len(pair) == 3 else pair


def across(chunks: Sequence[TrainingNodes], run: Run) -> list[Node]:
    """Compare each seed's network with the next seed's, as trained and aligned; further seeds add jobs and change none.

    Args:
        chunks: of seeds, in order.
        run: from which start, of the ladder's own order.
    """
    made: list[Node] = []
    for one, other in [*((each, each) for each in chunks), *pairwise(chunks)]:
        seeds = pairwise(one.seeds) if one is other else [(one.seeds[-1], other.seeds[0])]
        order = noise(one.e, run.level, run.order)
        pairs = [[seed, order, order, another] for seed, another in seeds]
        if not pairs:
            continue
        spec: specs.Pairs = {"task": one.measured, "kind": run.kind, "k": run.k, "level": run.level, "pairs": pairs}
        both = [one] if one is other else [one, other]
        parents = {"data": [one.data], "states": [each.train(run, (run.order,)) for each in both]}
        parents["masks"] = [mask for each in both for mask in each.masked(run)]
        name = label(one.who, f"k{run.k}", f"L{run.level}", f"to_s{pairs[-1][3]}")
        made += lines(one, spec, name, parents, ["none", *one.e.asked["align"]["methods"]])
    return made


class RunNodes:
    """Adds measurements of runs and pairs to a plan, from the nodes of their training."""

    def __init__(self, training: TrainingNodes, figures: Sequence[str]) -> None:
        self.training, self.e, self.plan, self.seeds = training, training.e, training.plan, training.seeds
        self.follows = any("throughout" in FIGURES[figure].tables for figure in figures)
        self.aligns = aligns(self.e, figures, "within")
        self.of_runs, self.of_pairs = (wanted(self.e, figures, each) for each in ("runs", "pairs"))

    def measure(self, run: Run, orders: Iterable[int]) -> dict[str, list[Node]]:
        """Train the given orders from one start, and compare them; nodes by the stage that a table is measured by."""
        kept = self._kept(run)
        jobs = [(group, self.training.train(run, group, kept)) for group in self._apart(orders)]
        found = {"train": [node for _, node in jobs]}
        found |= {stage: self._compare(stage, run, jobs, kept) for stage in dict.fromkeys(["interpolate", *self.of_pairs])}
        for node in self._compare("align", run, jobs, kept) if self.aligns and is_aligned(self.e, run) else ():
            found.setdefault(node.stage, []).append(node)
        return found | {stage: self._each(stage, run, jobs) for stage in self.of_runs}

    def _kept(self, run: Run) -> tuple[int, ...]:
        """List the steps at which a run's states are kept: those of `throughout` after its start, and the last."""
        asked, last = self.e.throughout, self.training.task["steps"]
        if not self.follows or asked is None or run.level or run.start.change or run.k not in asked.rewind:
            return ()
        steps = range((run.k // asked.every + 1) * asked.every, last, asked.every)
        return tuple(sorted({*steps, last}))

    def _apart(self, orders: Iterable[int]) -> list[tuple[int, ...]]:
        """Group orders into jobs; the ladder's own is always a job of its own."""
        first = self.e.orders[0]
        rest = sorted(set(orders) - {first})
        return [(first,), *config.chunks(rest, self.e.per_job.orders)]

    def _name(self, run: Run, orders: Sequence[int]) -> str:
        return label(self.training.who, f"k{run.k}", f"L{run.level}", "" if run.level == 0 else run.kind, span("o", orders))

    def _each(self, stage: str, run: Run, jobs: Jobs) -> list[Node]:
        """Measure the networks of each job."""
        made = []
        for orders, node in jobs:
            spec: specs.Members = {
                "task": self.training.measured,
                "kind": run.kind,
                "k": run.k,
                "level": run.level,
                "members": self.training.members(run, orders),
            }
            parents = {"data": [self.training.data], "state": [node], "mask": self.training.masked(run)}
            asked = {**spec, **self.e.asked.get(stage, {})}
            made.append(self.plan.add_declared(stage, self._name(run, orders), asked, parents))
        return made

    def _compare(self, stage: str, run: Run, jobs: Jobs, kept: tuple[int, ...]) -> list[Node]:
        """Compare each job's runs among themselves and with all earlier ones of the same seed."""
        made: list[Node] = []
        seen: list[int] = []
        nodes: list[Node] = []
        for orders, node in jobs:
            seen, nodes = [*seen, *orders], [*nodes, node]
            both = [(i, j) for j in orders for i in seen if i < j]
            pairs = [[s, *(noise(self.e, run.level, each) for each in pair)] for s in self.seeds for pair in both]
            spec: specs.Pairs = {
                "task": self.training.measured,
                "kind": run.kind,
                "k": run.k,
                "level": run.level,
                "pairs": pairs,
            }
            parents = {"data": [self.training.data], "states": nodes}
            parents |= {"masks": self.training.masked(run)} if stage == "align" else {}
            made += self._compared(stage, spec, kept, self._name(run, orders), parents) if pairs else []
        return made

    def _compared(self, stage: str, pairs: specs.Pairs, kept: tuple[int, ...], name: str, parents: Parents) -> list[Node]:
        """Compare pairs as closely as the config says; not at all where that is not asked for."""
        e = self.e
        if stage in ("interpolate", "align"):
            methods = ["none"] if stage == "interpolate" else e.asked["align"]["methods"]
            return lines(self.training, pairs, name, parents, methods)
        if stage == "follow":
            if not kept or e.throughout is None:
                return []
            followed: stages.follow.Spec = {**pairs, "alphas": e.throughout.alphas, "keep": list(kept)}
            return [self.plan.add(stages.follow, name, followed, parents)]
        if stage == "layers":
            by_layer: stages.layers.Spec = {**pairs, "alphas": e.alphas}
            return [self.plan.add(stages.layers, name, by_layer, parents)] if e.layerwise and not pairs["level"] else []
        return [self.plan.add_declared(stage, name, {**pairs, **e.asked.get(stage, {})}, parents)]
