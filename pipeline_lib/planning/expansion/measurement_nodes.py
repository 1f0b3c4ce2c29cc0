"""Measurements that a figure asks for besides runs and their pairs: telemetry, signs, spectra, and the landscape of a ladder."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pipeline_lib.core import registry
from pipeline_lib.experiments import starts
from pipeline_lib.experiments.changes import Start
from pipeline_lib.experiments.figure_needs import FIGURES
from pipeline_lib.experiments.runs import Run
from pipeline_lib.experiments.settings.options import Analyse, Curvature, Limits
from pipeline_lib.planning import named_stages as stages
from pipeline_lib.planning.expansion import brought_nodes, limit_nodes, line_nodes
from pipeline_lib.planning.expansion.labels import label
from pipeline_lib.planning.expansion.run_nodes import wanted
from pipeline_lib.planning.expansion.training_nodes import TrainingNodes
from pipeline_lib.planning.nodes import Node

if TYPE_CHECKING:
    from pipeline_lib.stages.measurements.describe import Projection, Solution
    from pipeline_lib.store import specs

Probed = Curvature | Limits | Analyse  # what says how closely spectra are measured


class MeasurementNodes:
    """Adds measurements of one task and one chunk of seeds to a plan, from those of its training."""

    def __init__(self, training: TrainingNodes) -> None:
        self.training, self.e, self.plan, self.seeds = training, training.e, training.plan, list(training.seeds)
        self.task = training.measured
        self.last = self.e.rewind[-1]

    def solution(self, level: int, k: int | None = None, change: str = "") -> Run:
        """A level of the ladder from a step, the last one if none is given, or a changed one."""
        k = self.last if k is None else k
        start = starts.parse(f"k{k} | {change}", self.e.task).at(level) if change else Start(k)
        return Run("imp", start, level, self.e.orders[0])

    def trained(self, run: Run) -> Node:
        """The trained network of a run."""
        return self.training.train(run, (self.e.orders[0],))

    def telemetry(self) -> list[Node]:
        """The dense network from W_0, trained once more and looked at closely."""
        asked = self.e.telemetry
        if asked is None:
            return []
        spec: stages.telemetry.Spec = {
            "task": self.training.task,
            "seeds": self.seeds,
            "order": self.e.orders[0],
            "steps": asked.steps,
            "evaluate_every": asked.evaluate_every,
        }
        parents = {"data": [self.training.data], "start": [self.training.pretrain(0)]}
        steps = self.training.task["steps"] * len(self.seeds)
        return [self.plan.add(stages.telemetry, self.training.who, spec, parents, num_steps=steps)]

    def validation(self) -> list[Node]:
        """The dense network from W_0, trained once more without the images that choose its best step."""
        asked = self.e.asked.get("validation")
        if not asked:
            return []
        spec: stages.validation.Spec = {
            "task": self.training.task,
            "seeds": self.seeds,
            "order": self.e.orders[0],
            "examples": asked["examples"],
        }
        parents = {"data": [self.training.data], "start": [self.training.pretrain(0)]}
        steps = self.training.task["steps"] * len(self.seeds)
        return [self.plan.add(stages.validation, self.training.who, spec, parents, num_steps=steps)]

    def signs(self) -> list[Node]:
        """Signs of W_0 and every W_k, over all weights and over each ladder's survivors at the sparse level."""
        steps = sorted({0, *self.e.rewind})
        level, ks = self.e.sparse_level, list(self.e.rewind) if self.e.sparse_level else []
        spec: stages.signs.Spec = {
            "name": self.task["name"],
            "seeds": self.seeds,
            "steps": steps,
            "level": level,
            "scopes": ks,
        }
        masks = [self.training.mask(self.solution(level, k)) for k in ks]
        parents = {"states": [self.training.pretrain(k) for k in steps], "masks": masks}
        return [self.plan.add(stages.signs, self.training.who, spec, parents)]

    def hessian(self, step: int, at: specs.Solutions, state: Node, mask: list[Node], asked: Probed, called: str = "") -> Node:
        """The spectrum of a state over the weights that its mask keeps."""
        spec: stages.hessian.Spec = {
            "task": at["task"],
            "seeds": at["seeds"],
            "kind": "imp",
            "k": at["k"],
            "level": at["level"],
            "step": step,
            "operators": list(asked.operators) if isinstance(asked, Limits) else ["hessian"],
            "iterations": asked.iterations,
            "probes": asked.probes,
            "examples": asked.examples,
            "subspace": asked.subspace,
            "tolerance": asked.tolerance if isinstance(asked, Limits) else None,
            "resolution": asked.resolution if isinstance(asked, Limits) else 1e-6,
        }
        at_end = step == self.training.task["steps"]
        called = called or (f"k{at['k']}-L{at['level']}" if at_end else f"k{step}")
        name = label(self.training.who, called)
        return self.plan.add(stages.hessian, name, spec, {"data": [self.training.data], "state": [state], "mask": mask})

    def at(self, k: int, level: int) -> specs.Solutions:
        """Say what is measured: the ladder's networks from a step at a level."""
        return {"task": self.task, "seeds": self.seeds, "k": k, "level": level}

    def curvature(self) -> list[Node]:
        """The Hessian's spectrum of the run from W_0 at the steps that are asked for."""
        asked = self.e.curvature
        if asked is None:
            return []
        return [self.hessian(step, self.at(0, 0), self.training.pretrain(step), [], asked) for step in asked.steps]

    def spectra(self) -> list[Node]:
        """Spectra at the solutions of the last ladder, over their surviving weights."""
        asked, last = self.e.limits, self.training.task["steps"]
        if asked is None:
            return []
        runs = [self.solution(level) for level in asked.levels]
        return [
            self.hessian(last, self.at(run.k, run.level), self.trained(run), self.training.masked(run), asked) for run in runs
        ]

    def planes(self, plane: str) -> list[Node]:
        """Planes at the asked levels of the last ladder, for the first seeds."""
        asked, made = self.e.planes, list[Node]()
        seeds = [seed for seed in self.seeds if asked and seed in self.e.seeds[: asked.seeds]]
        if asked is None or not seeds:
            return made
        for level in asked.levels:
            run, following = self.solution(level), self.solution(level + 1)
            spec: stages.slice.Spec = {
                "task": self.task,
                "seeds": seeds,
                "k": run.k,
                "level": level,
                "plane": plane,
                "points": asked.points,
                "margin": asked.margin,
            }
            parents = {"data": [self.training.data], "state": [self.trained(run)], "mask": [self.training.mask(following)]}
            parents |= {"dense": limit_nodes.dense(self)}
            if plane == "pruning":
                parents |= {"next": [self.trained(following)]}
            else:
                parents |= {"random": [self.training.pruned(run, "random", self.e.pruning.fraction)]}
            made.append(self.plan.add(stages.slice, label(self.training.who, f"k{run.k}", f"L{level}", plane), spec, parents))
        return made

    def ladder(self) -> Node:
        """Magnitudes and distances of the last ladder's solutions, projections and starts."""
        runs = [self.solution(level) for level in range(self.e.levels + 1)]
        masks = [self.training.mask(run) for run in runs[1:]]
        solutions: list[Solution] = [
            {"start": f"k{self.last}", "level": i, "state": i, "mask": i - 1 if i else None} for i in range(len(runs))
        ]
        projections: list[Projection] = [{"level": i, "state": i - 1, "mask": i - 1} for i in range(1, len(runs))]
        return self._describe("ladder", [self.trained(run) for run in runs], masks, solutions, projections)

    def _describe(
        self, name: str, states: list[Node], masks: list[Node], solutions: list[Solution], projections: list[Projection]
    ) -> Node:
        spec: stages.describe.Spec = {
            "name": self.task["name"],
            "seeds": self.seeds,
            "k": self.last,
            "solutions": solutions,
            "projections": projections,
        }
        parents = {"rewind": [self.training.pretrain(self.last)], "states": states, "masks": masks}
        return self.plan.add(stages.describe, label(self.training.who, f"k{self.last}", name), spec, parents)

    def retrained(self, change: str) -> Node:
        """Magnitudes of networks that were retrained in another way."""
        runs = [self.solution(level, change=change) for level in range(1, self.e.levels + 1)]
        solutions: list[Solution] = [
            {"start": run.start.text, "level": run.level, "state": i, "mask": i} for i, run in enumerate(runs)
        ]
        name = "".join(letter if letter.isalnum() else "_" for letter in change).strip("_")
        states = [self.trained(run) for run in runs]
        return self._describe(name, states, [self.training.mask(run) for run in runs], solutions, [])

    def wells(self) -> list[Node]:
        """Planted wells, which need no network."""
        return [self.plan.add_declared("wells", "wells", self.e.asked["lemma"], {})] if self.e.asks("lemma") else []

    def solutions(self, stage: str) -> list[Node]:
        """What a stage that is planned for each solution of the last ladder measures of them."""
        made = []
        for level in range(self.e.levels + 1):
            run = self.solution(level)
            spec = {**self.at(run.k, level), **self.e.asked.get(stage, {})}
            parents = {"data": [self.training.data], "state": [self.trained(run)], "mask": self.training.masked(run)}
            made.append(self.plan.add_declared(stage, label(self.training.who, f"k{run.k}", f"L{level}"), spec, parents))
        return made

    def measure(self, figures: Sequence[str]) -> dict[str, list[Node]]:
        """Add all that the figures ask for; nodes by stage."""
        found: dict[str, list[Node]] = defaultdict(list)
        for name in dict.fromkeys(name for figure in figures for name in FIGURES[figure].measures):
            if name not in MEASURES:
                advice = "add it in planning/expansion/measurement_nodes.py"
                raise registry.unknown("measures of a figure", name, list(MEASURES), advice)
            for node in MEASURES[name](self):
                found[node.stage].append(node)
        for stage in wanted(self.e, figures, "solutions"):
            found[stage] += self.solutions(stage)
        return found


def _retrained(nodes: MeasurementNodes, before: str) -> list[Node]:
    return [nodes.retrained(f"{before}{strategy}") for strategy in nodes.e.retraining]


# What figures may ask for under `measures`, by name.
MEASURES: dict[str, Callable[[MeasurementNodes], list[Node]]] = {
    "telemetry": MeasurementNodes.telemetry,
    "validation": MeasurementNodes.validation,
    "signs": MeasurementNodes.signs,
    "curvature": MeasurementNodes.curvature,
    "spectra": MeasurementNodes.spectra,
    "cuts": limit_nodes.cuts,
    "radii": limit_nodes.radii,
    "class_means": limit_nodes.class_means,
    "lines_of_every_ladder": lambda nodes: line_nodes.of_ladders(nodes, nodes.e.rewind),
    "lines_of_the_last_ladder": lambda nodes: line_nodes.of_ladders(nodes, nodes.e.rewind[-1:]),
    "lines_of_every_aligned_ladder": lambda nodes: line_nodes.of_aligned_ladders(nodes, nodes.e.rewind),
    "lines_to_perturbed": line_nodes.to_perturbed,
    "planes_of_pruning": lambda nodes: nodes.planes("pruning"),
    "planes_of_directions": lambda nodes: nodes.planes("directions"),
    "ladder": lambda nodes: [nodes.ladder()],
    "branches": lambda nodes: _retrained(nodes, "mask | "),
    "strategies": lambda nodes: _retrained(nodes, ""),
    "wells": MeasurementNodes.wells,
    "paths_of_checkpoints": brought_nodes.paths,
    "planes_of_checkpoints": brought_nodes.planes,
    "spectra_of_checkpoints": brought_nodes.spectra,
}
