"""The nodes of checkpoints and masks that a config brings, and of what is measured of checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from pipeline_lib.experiments.settings.options import Analyse, Grid
from pipeline_lib.planning import named_stages as stages
from pipeline_lib.planning.expansion.labels import label, span
from pipeline_lib.planning.nodes import Node, Plan

if TYPE_CHECKING:
    from pipeline_lib.store import specs


@runtime_checkable
class Training(Protocol):
    """What is taken of `training_nodes.TrainingNodes`."""

    plan: Plan
    e: Grid
    data: Node
    measured: specs.MeasuredTask
    seeds: tuple[int, ...]
    brought: dict[str, Node]


def _who(training: Training, seeds: Sequence[int], name: str) -> str:
    return label(training.e.task["name"], span("s", seeds), name)


def state(training: Training, name: str, seeds: Sequence[int]) -> Node:
    """A checkpoint: the same state for each of the seeds."""
    found = training.e.own.checkpoint(name, "checkpoint")
    spec: stages.bring.Spec = {
        "task": training.measured,
        "checkpoint": name,
        "step": found.step,
        "members": [[seed, training.e.orders[0]] for seed in seeds],
        "sha256": found.sha256,
    }
    node = training.plan.add(stages.bring, _who(training, seeds, name), spec, {"data": [training.data]})
    training.brought[node.key] = node
    return node


def mask(training: Training, name: str) -> Node:
    """A mask: the same for each of the seeds."""
    spec: stages.bring_mask.Spec = {
        "task": training.measured,
        "criterion": name,
        "seeds": list(training.seeds),
        "sha256": training.e.own.mask(name, "mask").sha256,
    }
    return training.plan.add(stages.bring_mask, _who(training, training.seeds, name), spec, {"data": [training.data]})


@runtime_checkable
class Nodes(Protocol):
    """What is taken of `measurement_nodes.MeasurementNodes`."""

    plan: Plan

    @property
    def training(self) -> Training:
        """Where checkpoints are brought."""

    def hessian(self, step: int, at: specs.Solutions, state: Node, mask: list[Node], asked: Analyse, called: str = "") -> Node:
        """The spectrum of a state."""


def _asked(training: Training) -> tuple[list[Analyse], int]:
    """What is to be measured, if anything, and the seed that stands for all: the first, whose chunk does it."""
    e = training.e
    return [e.analyse] if e.analyse and e.seeds[0] in training.seeds else [], e.seeds[0]


def _path(training: Training, asked: Analyse, seed: int, one: str, other: str) -> Node:
    spec: stages.connect.Spec = {
        "task": training.measured,
        "seeds": [seed],
        "k": training.e.own.checkpoint(other, "checkpoint").step,
        "alphas": asked.alphas,
        "splits": list(training.e.splits),
        "points": [{"state": 0, "mask": None}, {"state": 1, "mask": None}],
        "pairs": [{"what": "checkpoints", "start": other, "level_1": 0, "level_2": 0, "i": 0, "j": 1}],
    }
    parents = {"data": [training.data], "states": [state(training, name, [seed]) for name in (one, other)]}
    return training.plan.add(stages.connect, _who(training, [seed], label(one, other)), spec, parents)


def _plane(training: Training, asked: Analyse, seed: int, names: Sequence[str]) -> Node:
    spec: stages.triangle.Spec = {
        "task": training.measured,
        "seed": seed,
        "states": list(names),
        "points": asked.points,
        "margin": asked.margin,
    }
    parents = {"data": [training.data], "states": [state(training, name, [seed]) for name in names]}
    return training.plan.add(stages.triangle, _who(training, [seed], label(*names)), spec, parents)


def paths(nodes: Nodes) -> list[Node]:
    """Lines between checkpoints."""
    found, seed = _asked(nodes.training)
    return [_path(nodes.training, asked, seed, one, other) for asked in found for one, other in asked.paths]


def planes(nodes: Nodes) -> list[Node]:
    """Planes through checkpoints."""
    found, seed = _asked(nodes.training)
    return [_plane(nodes.training, asked, seed, names) for asked in found for names in asked.planes]


def spectra(nodes: Nodes) -> list[Node]:
    """Spectra at checkpoints, over all of their prunable weights."""
    (found, seed), training, made = _asked(nodes.training), nodes.training, list[Node]()
    for asked in found:
        for name in asked.hessian:
            step = training.e.own.checkpoint(name, "checkpoint").step
            at: specs.Solutions = {"task": training.measured, "seeds": [seed], "k": step, "level": 0}
            made.append(nodes.hessian(step, at, state(training, name, [seed]), [], asked, name))
    return made
