"""What is measured of the last ladder's solutions for the limits of pruning, besides spectra."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from pipeline_lib.experiments.config import chunks
from pipeline_lib.experiments.runs import Run
from pipeline_lib.experiments.settings.options import Grid, Limits
from pipeline_lib.planning import named_stages as stages
from pipeline_lib.planning.expansion.labels import label
from pipeline_lib.planning.expansion.training_nodes import TrainingNodes
from pipeline_lib.planning.nodes import Node, Plan

if TYPE_CHECKING:
    from pipeline_lib.store import specs


@runtime_checkable
class Nodes(Protocol):
    """What is taken of `measurement_nodes.MeasurementNodes`."""

    training: TrainingNodes
    e: Grid
    plan: Plan
    last: int

    def solution(self, level: int, k: int | None = None, change: str = "") -> Run:
        """A level of the ladder from a step."""

    def trained(self, run: Run) -> Node:
        """The trained network of a run."""

    def at(self, k: int, level: int) -> specs.Solutions:
        """What is measured."""


def _own(nodes: Nodes, level: int) -> tuple[str, dict[str, list[Node]]]:
    """What a measurement of the last ladder's solution at a level is called, and reads."""
    run = nodes.solution(level)
    parents = {"data": [nodes.training.data], "state": [nodes.trained(run)], "mask": nodes.training.masked(run)}
    return label(nodes.training.who, f"k{nodes.last}", f"L{level}"), parents


def _cut(nodes: Nodes, asked: Limits, level: int) -> Node:
    fractions, fitted = sorted(asked.fractions), level == asked.fit_level
    spec: stages.cut.Spec = {
        **nodes.at(nodes.last, level),
        "scope": nodes.e.pruning.scope,
        "fractions": {"magnitude": fractions, "random": sorted({*fractions, *asked.small_fractions})},
        "repeated": sorted(asked.small_fractions) if fitted else [],
        "draws": asked.draws if fitted else 1,
    }
    name, parents = _own(nodes, level)
    return nodes.plan.add(stages.cut, name, spec, parents)


def cuts(nodes: Nodes) -> list[Node]:
    """What is left of the last ladder's solutions when they are pruned by each of the asked ratios."""
    asked = nodes.e.limits
    return [_cut(nodes, asked, level) for level in sorted({*asked.levels, asked.fit_level})] if asked else []


def _radii(nodes: Nodes, asked: Limits, level: int) -> Node:
    spec: stages.radii.Spec = {
        **nodes.at(nodes.last, level),
        "examples": asked.examples,
        "directions": asked.directions,
        "fit_level": asked.fit_level,
        "fit_fractions": sorted(asked.small_fractions),
        "regression": asked.regression,
    }
    name, parents = _own(nodes, level)
    more = {"cuts": [_cut(nodes, asked, asked.fit_level)], "dense": dense(nodes)}
    return nodes.plan.add(stages.radii, name, spec, parents | more)


def radii(nodes: Nodes) -> list[Node]:
    """How far the last ladder's solutions are from where the loss no longer matches."""
    return [_radii(nodes, nodes.e.limits, level) for level in nodes.e.limits.levels] if nodes.e.limits else []


def class_means(nodes: Nodes) -> list[Node]:
    """What class means of gradients foretell of the spectra at the last ladder's solutions."""
    made, asked = list[Node](), nodes.e.limits
    for level in asked.levels if asked else ():
        spec: stages.class_means.Spec = {**nodes.at(nodes.last, level), "examples": asked.examples if asked else 0}
        name, parents = _own(nodes, level)
        made.append(nodes.plan.add(stages.class_means, name, spec, parents))
    return made


def dense(nodes: Nodes) -> list[Node]:
    """The dense reference: the networks of all seeds from the first rewind step, whose errors say what matches."""
    run, order = nodes.solution(0, nodes.e.rewind[0]), nodes.e.orders[0]
    groups = chunks(nodes.e.seeds, nodes.e.per_job.seeds)
    return [TrainingNodes(nodes.plan, nodes.e, seeds).train(run, (order,)) for seeds in groups]
