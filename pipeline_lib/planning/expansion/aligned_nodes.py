"""Pairs whose units are permuted to match, and pairs across seeds, for one task."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from pipeline_lib.core import registry
from pipeline_lib.experiments.figure_needs import FIGURES
from pipeline_lib.experiments.runs import Run, noise
from pipeline_lib.experiments.settings.options import Grid
from pipeline_lib.planning import named_stages as stages
from pipeline_lib.planning.expansion.labels import label
from pipeline_lib.planning.expansion.training_nodes import TrainingNodes
from pipeline_lib.planning.nodes import Node, Parents

if TYPE_CHECKING:
    from pipeline_lib.store import specs


def asked(e: Grid, figures: Iterable[str], pairs: str) -> bool:
    """Tell whether pairs within seeds, or across them, are to be aligned.

    Raises:
        ValueError: they are, and the task's network does not say which of its units may be permuted.
    """
    option = e.asked.get("align")
    if option is None or pairs not in option["pairs"] or not any("alignments" in FIGURES[each].tables for each in figures):
        return False
    registry.lookup("symmetries", e.task["network"]["name"], f"network.name of task {e.task['name']}, which is to be aligned,")
    return True


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
            spec: stages.align.Spec = {
                **pairs,
                "members": [[seed, order] for _, _, order, seed in map(_whole, pairs["pairs"])],
                "alignment": method,
                "starts": e.asked["align"]["starts"],
                "examples": e.asked["align"]["examples"],
            }
            made.append(training.plan.add(stages.align, label(name, method), spec, parents))
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
