"""Lines between the solutions of a ladder, to their projections, to those from moved starts, and to aligned ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from pipeline_lib.experiments import comparisons
from pipeline_lib.experiments.runs import Run, noise
from pipeline_lib.planning import named_stages as stages
from pipeline_lib.planning.expansion import run_nodes
from pipeline_lib.planning.expansion.labels import label
from pipeline_lib.planning.expansion.limit_nodes import Nodes
from pipeline_lib.planning.nodes import Node, Parents

if TYPE_CHECKING:
    from pipeline_lib.stages.landscape.connect import Pair, Point
    from pipeline_lib.store import specs


def _connect(
    nodes: Nodes, name: str, k: int, parents: Parents, points: list[Point], pairs: list[Pair], method: str = "none"
) -> Node:
    asked = nodes.e.connectivity
    assert asked is not None
    spec: stages.connect.Spec = {
        "task": nodes.training.measured,
        "seeds": list(nodes.training.seeds),
        "k": k,
        "alphas": asked.alphas,
        "splits": list(asked.splits),
        "points": points,
        "pairs": pairs,
    }
    if method != "none":
        spec["alignment"] = method
    read = {"data": [nodes.training.data], **parents}
    return nodes.plan.add(stages.connect, label(nodes.training.who, f"k{k}", name), spec, read)


def _levels(k: int, pairs: Iterable[tuple[int, int]]) -> list[Pair]:
    return [{"what": "levels", "start": f"k{k}", "level_1": i, "level_2": j, "i": i, "j": j} for i, j in pairs]


def _ladder(nodes: Nodes, k: int) -> list[Run]:
    return [nodes.solution(level, k) for level in range(nodes.e.levels + 1)]


def levels(nodes: Nodes, k: int) -> Node:
    """Lines between the solutions of a ladder, and to their projections: successive ones, or all pairs where asked for."""
    last, every = nodes.e.levels, nodes.e.connectivity is not None and k in nodes.e.connectivity.rewind
    runs = _ladder(nodes, k)
    points: list[Point] = [{"state": level, "mask": None} for level in range(last + 1)]
    points += [{"state": level, "mask": level} for level in range(last)]
    pairs = _levels(k, ((i, j) for i in range(last) for j in range(i + 1, last + 1 if every else i + 2)))
    pairs += [
        {"what": "projection", "start": f"k{k}", "level_1": i, "level_2": i + 1, "i": i, "j": last + 1 + i} for i in range(last)
    ]
    parents = {"states": [nodes.trained(run) for run in runs], "masks": [nodes.training.mask(run) for run in runs[1:]]}
    return _connect(nodes, "levels", k, parents, points, pairs)


def perturbed(nodes: Nodes) -> Node:
    """Lines between the last ladder's solutions and what comes of their starts when they are moved at random."""
    last = range(nodes.e.levels)
    runs = [nodes.solution(level) for level in last]
    moved = [nodes.solution(level, change=comparisons.ROBUST) for level in last]
    points: list[Point] = [{"state": i, "mask": None} for i in range(2 * len(runs))]
    pairs: list[Pair] = [
        {"what": "perturbed", "start": run.start.text, "level_1": i, "level_2": i, "i": i, "j": len(runs) + i}
        for i, run in enumerate(moved)
    ]
    states = [nodes.trained(run) for run in [*runs, *moved]]
    return _connect(nodes, "perturbed", nodes.last, {"states": states}, points, pairs)


def aligned(nodes: Nodes, k: int) -> list[Node]:
    """Lines between successive solutions, the second's units permuted to match the first's, and the jobs that permute them."""
    runs, made = _ladder(nodes, k), list[Node]()
    points: list[Point] = [{"state": level, "mask": None} for level in range(len(runs))]
    for method in run_nodes.methods(nodes.e, "levels"):
        own = [_permuted(nodes, one, other, method) for one, other in pairwise(runs)]
        parents = {"states": [nodes.trained(run) for run in runs], "aligned": own}
        pairs = _levels(k, pairwise(range(len(runs))))
        made += [*own, _connect(nodes, label("levels", method), k, parents, points, pairs, method)]
    return made


def _permuted(nodes: Nodes, one: Run, other: Run, method: str) -> Node:
    training = nodes.training
    orders = [noise(training.e, run.level, run.order) for run in (one, other)]
    spec: specs.Pairs = {
        "task": training.measured,
        "kind": one.kind,
        "k": one.k,
        "level": one.level,
        "pairs": [[seed, *orders] for seed in training.seeds],
    }
    parents = {"data": [training.data], "states": [nodes.trained(one)], "others": [nodes.trained(other)]}
    parents["masks"] = [training.mask(other)]
    name = label(training.who, f"k{one.k}", f"L{one.level}", f"to_L{other.level}")
    return run_nodes.align(training, spec, name, parents, method, other.level)


def of_ladders(nodes: Nodes, ks: Sequence[int]) -> list[Node]:
    """Lines between the levels of ladders, where they are asked for."""
    return [levels(nodes, k) for k in ks] if nodes.e.connectivity else []


def of_aligned_ladders(nodes: Nodes, ks: Sequence[int]) -> list[Node]:
    """Lines between aligned levels of ladders, where both are asked for."""
    return [node for k in ks for node in aligned(nodes, k)] if nodes.e.connectivity else []


def to_perturbed(nodes: Nodes) -> list[Node]:
    """Lines to solutions from moved starts, where lines are asked for."""
    return [perturbed(nodes)] if nodes.e.connectivity else []
