"""Measurements that a figure asks for besides runs and their pairs: telemetry, signs, spectra, and the landscape of a ladder."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from pipeline_lib.core import registry
from pipeline_lib.experiments import comparisons
from pipeline_lib.experiments.config import chunks
from pipeline_lib.experiments.figure_needs import FIGURES
from pipeline_lib.experiments.runs import Run
from pipeline_lib.experiments.settings.keys import said
from pipeline_lib.experiments.settings.options import Limits
from pipeline_lib.planning.nodes import Node
from pipeline_lib.planning.training_nodes import MEASURED, TrainingNodes, label


class MeasurementNodes:
    """Adds measurements of one task and one chunk of seeds to a plan, from those of its training."""

    def __init__(self, training: TrainingNodes) -> None:
        self.training, self.e, self.plan, self.seeds = training, training.e, training.plan, list(training.seeds)
        self.task = {key: training.task[key] for key in MEASURED}
        self.last = self.e.rewind[-1]

    def solution(self, level: int, k: int | None = None, change: str = "") -> Run:
        """A level of the ladder from a step, the last one if none is given, or a changed one."""
        k = self.last if k is None else k
        return Run("imp", k, level, self.e.orders[0], f"k{k} | {change}" if change else "")

    def trained(self, run: Run) -> Node:
        """The trained network of a run."""
        return self.training.train(run, (self.e.orders[0],))

    def telemetry(self) -> list[Node]:
        """The dense network from W_0, trained once more and looked at closely."""
        if self.e.telemetry is None:
            return []
        spec = {"task": self.training.task, "seeds": self.seeds, "order": self.e.orders[0], **said(self.e.telemetry)}
        parents = {"data": [self.training.data], "start": [self.training.pretrain(0)]}
        steps = self.training.task["steps"] * len(self.seeds)
        return [self.plan.add("telemetry", self.training.who, spec, parents, num_steps=steps)]

    def signs(self) -> list[Node]:
        """Signs of W_0 and every W_k, over all weights and over each ladder's survivors at the sparse level."""
        steps = sorted({0, *self.e.rewind})
        level, ks = self.e.sparse_level, list(self.e.rewind) if self.e.sparse_level else []
        spec = {"name": self.task["name"], "seeds": self.seeds, "steps": steps, "level": level, "scopes": ks}
        masks = [self.training.mask(self.solution(level, k)) for k in ks]
        return [
            self.plan.add(
                "signs", self.training.who, spec, {"states": [self.training.pretrain(k) for k in steps], "masks": masks}
            )
        ]

    def _hessian(self, step: int, k: int, level: int, state: Node, mask: list[Node], how: dict[str, Any]) -> Node:
        spec = {"task": self.task, "seeds": self.seeds, "kind": "imp", "k": k, "level": level, "step": step, **how}
        name = label(self.training.who, f"k{step}" if step != self.training.task["steps"] else f"k{k}-L{level}")
        return self.plan.add("hessian", name, spec, {"data": [self.training.data], "state": [state], "mask": mask})

    def curvature(self) -> list[Node]:
        """The Hessian's spectrum of the run from W_0 at the steps that are asked for."""
        how = {"operators": ["hessian"], "tolerance": None, "resolution": 1e-6, **said(self.e.curvature)}
        steps = how.pop("steps", [])
        return [self._hessian(step, 0, 0, self.training.pretrain(step), [], how) for step in steps]

    def spectra(self) -> list[Node]:
        """Spectra at the solutions of the last ladder, over their surviving weights."""
        asked, made = said(self.e.limits), []
        how = {
            key: asked.get(key)
            for key in ("operators", "iterations", "probes", "examples", "subspace", "tolerance", "resolution")
        }
        for level in asked.get("levels", []):
            run = self.solution(level)
            made.append(
                self._hessian(self.training.task["steps"], run.k, level, self.trained(run), self.training.masked(run), how)
            )
        return made

    def _at(self, stage: str, level: int, more: dict[str, Any], parents: dict[str, list[Node]] | None = None) -> Node:
        """A measurement of the last ladder's solution at a level."""
        run = self.solution(level)
        spec = {"task": self.task, "seeds": self.seeds, "k": run.k, "level": level, **more}
        own = {"data": [self.training.data], "state": [self.trained(run)], "mask": self.training.masked(run)}
        return self.plan.add(stage, label(self.training.who, f"k{run.k}", f"L{level}"), spec, own | (parents or {}))

    def _cut(self, asked: Limits, level: int) -> Node:
        fractions, fitted = sorted(asked.fractions), level == asked.fit_level
        cut = {"magnitude": fractions, "random": sorted({*fractions, *asked.small_fractions})}
        more = {"repeated": sorted(asked.small_fractions) if fitted else [], "draws": asked.draws if fitted else 1}
        return self._at("cut", level, {"scope": self.e.pruning.scope, "fractions": cut, **more})

    def cuts(self) -> list[Node]:
        """What is left of the last ladder's solutions when they are pruned by each of the asked ratios."""
        asked = self.e.limits
        return [self._cut(asked, level) for level in sorted({*asked.levels, asked.fit_level})] if asked else []

    def radii(self) -> list[Node]:
        """How far the last ladder's solutions are from where the loss no longer matches."""
        asked = self.e.limits
        if asked is None:
            return []
        how: dict[str, Any] = {"examples": asked.examples, "directions": asked.directions, "fit_level": asked.fit_level}
        how |= {"fit_fractions": sorted(asked.small_fractions), "regression": asked.regression}
        parents = {"cuts": [self._cut(asked, asked.fit_level)], "dense": self.dense()}
        return [self._at("radii", level, how, parents) for level in asked.levels]

    def class_means(self) -> list[Node]:
        """What class means of gradients foretell of the spectra at the last ladder's solutions."""
        asked = self.e.limits
        return [self._at("class_means", level, {"examples": asked.examples}) for level in asked.levels] if asked else []

    def _connect(self, name: str, k: int, states: list[Node], masks: list[Node], points: Any, pairs: Any) -> Node:
        asked = self.e.connectivity
        assert asked is not None
        spec = {"task": self.task, "seeds": self.seeds, "k": k, "alphas": asked.alphas, "splits": list(asked.splits)}
        spec |= {"points": points, "pairs": pairs}
        parents = {"data": [self.training.data], "states": states, "masks": masks}
        return self.plan.add("connect", label(self.training.who, f"k{k}", name), spec, parents)

    def levels(self, k: int) -> Node:
        """Lines between the solutions of a ladder, and to their projections: successive ones, or all pairs where asked for."""
        last, every = self.e.levels, self.e.connectivity is not None and k in self.e.connectivity.rewind
        runs = [self.solution(level, k) for level in range(last + 1)]
        points = [{"state": level, "mask": None} for level in range(last + 1)]
        points += [{"state": level, "mask": level} for level in range(last)]
        pairs = [
            {"what": "levels", "start": f"k{k}", "level_1": i, "level_2": j, "i": i, "j": j}
            for i in range(last)
            for j in range(i + 1, last + 1 if every else i + 2)
        ]
        pairs += [
            {"what": "projection", "start": f"k{k}", "level_1": i, "level_2": i + 1, "i": i, "j": last + 1 + i}
            for i in range(last)
        ]
        return self._connect(
            "levels", k, [self.trained(run) for run in runs], [self.training.mask(r) for r in runs[1:]], points, pairs
        )

    def perturbed(self) -> Node:
        """Lines between the last ladder's solutions and what comes of their starts when they are moved at random."""
        last = range(self.e.levels)
        runs = [self.solution(level) for level in last]
        moved = [self.solution(level, change=comparisons.ROBUST) for level in last]
        points = [{"state": i, "mask": None} for i in range(2 * len(runs))]
        pairs = [
            {"what": "perturbed", "start": run.start, "level_1": i, "level_2": i, "i": i, "j": len(runs) + i}
            for i, run in enumerate(moved)
        ]
        return self._connect("perturbed", self.last, [self.trained(run) for run in [*runs, *moved]], [], points, pairs)

    def dense(self) -> list[Node]:
        """The dense reference: the networks of all seeds from the first rewind step, whose errors say what matches."""
        run, order = self.solution(0, self.e.rewind[0]), self.e.orders[0]
        groups = chunks(self.e.seeds, self.e.per_job.seeds)
        return [TrainingNodes(self.plan, self.e, seeds, self.training.figures).train(run, (order,)) for seeds in groups]

    def planes(self, plane: str) -> list[Node]:
        """Planes at the asked levels of the last ladder, for the first seeds."""
        asked, made = self.e.planes, []
        seeds = [seed for seed in self.seeds if asked and seed in self.e.seeds[: asked.seeds]]
        for level in asked.levels if asked and seeds else ():
            run, following = self.solution(level), self.solution(level + 1)
            spec = {"task": self.task, "seeds": seeds, "k": run.k, "level": level, "plane": plane}
            spec |= {"points": asked.points, "margin": asked.margin} if asked else {}
            parents = {"data": [self.training.data], "state": [self.trained(run)], "mask": [self.training.mask(following)]}
            parents |= {"dense": self.dense()}
            if plane == "pruning":
                parents |= {"next": [self.trained(following)]}
            else:
                parents |= {"random": [self.training.pruned(run, "random", self.e.pruning.fraction)]}
            made.append(self.plan.add("slice", label(self.training.who, f"k{run.k}", f"L{level}", plane), spec, parents))
        return made

    def ladder(self) -> Node:
        """Magnitudes and distances of the last ladder's solutions, projections and starts."""
        runs = [self.solution(level) for level in range(self.e.levels + 1)]
        masks = [self.training.mask(run) for run in runs[1:]]
        solutions = [{"start": f"k{self.last}", "level": i, "state": i, "mask": i - 1 if i else None} for i in range(len(runs))]
        projections = [{"level": i, "state": i - 1, "mask": i - 1} for i in range(1, len(runs))]
        return self._describe("ladder", [self.trained(run) for run in runs], masks, solutions, projections)

    def _describe(self, name: str, states: list[Node], masks: list[Node], solutions: Any, projections: Any) -> Node:
        spec = {
            "name": self.task["name"],
            "seeds": self.seeds,
            "k": self.last,
            "solutions": solutions,
            "projections": projections,
        }
        parents = {"rewind": [self.training.pretrain(self.last)], "states": states, "masks": masks}
        return self.plan.add("describe", label(self.training.who, f"k{self.last}", name), spec, parents)

    def retrained(self, change: str) -> Node:
        """Magnitudes of networks that were retrained in another way."""
        runs = [self.solution(level, change=change) for level in range(1, self.e.levels + 1)]
        solutions = [{"start": run.start, "level": run.level, "state": i, "mask": i} for i, run in enumerate(runs)]
        name = "".join(letter if letter.isalnum() else "_" for letter in change).strip("_")
        states = [self.trained(run) for run in runs]
        return self._describe(name, states, [self.training.mask(run) for run in runs], solutions, [])

    def wells(self) -> list[Node]:
        """Planted wells, which need no network."""
        return [self.plan.add("wells", "wells", self.e.asked["lemma"], {})] if self.e.asks("lemma") else []

    def solutions(self, stage: str) -> list[Node]:
        """What a stage that is planned for each solution of the last ladder measures of them."""
        return [self._at(stage, level, self.e.asked.get(stage, {})) for level in range(self.e.levels + 1)]

    def measure(self, figures: Sequence[str]) -> dict[str, list[Node]]:
        """Add all that the figures ask for; nodes by stage."""
        found: dict[str, list[Node]] = defaultdict(list)
        for name in dict.fromkeys(name for figure in figures for name in FIGURES[figure].measures):
            if name not in MEASURES:
                raise registry.unknown("measures of a figure", name, list(MEASURES), "add it in planning/measurement_nodes.py")
            for node in MEASURES[name](self):
                found[node.stage].append(node)
        for stage in self.training.wanted["solutions"]:
            found[stage] += self.solutions(stage)
        return found


def _lines(nodes: MeasurementNodes, ks: Sequence[int]) -> list[Node]:
    return [nodes.levels(k) for k in ks] if nodes.e.connectivity else []


def _retrained(nodes: MeasurementNodes, before: str) -> list[Node]:
    return [nodes.retrained(f"{before}{strategy}") for strategy in nodes.e.retraining]


# What figures may ask for under `measures`, by name.
MEASURES: dict[str, Callable[[MeasurementNodes], list[Node]]] = {
    "telemetry": MeasurementNodes.telemetry,
    "signs": MeasurementNodes.signs,
    "curvature": MeasurementNodes.curvature,
    "spectra": MeasurementNodes.spectra,
    "cuts": MeasurementNodes.cuts,
    "radii": MeasurementNodes.radii,
    "class_means": MeasurementNodes.class_means,
    "lines_of_every_ladder": lambda nodes: _lines(nodes, nodes.e.rewind),
    "lines_of_the_last_ladder": lambda nodes: _lines(nodes, nodes.e.rewind[-1:]),
    "lines_to_perturbed": lambda nodes: [nodes.perturbed()] if nodes.e.connectivity else [],
    "planes_of_pruning": lambda nodes: nodes.planes("pruning"),
    "planes_of_directions": lambda nodes: nodes.planes("directions"),
    "ladder": lambda nodes: [nodes.ladder()],
    "branches": lambda nodes: _retrained(nodes, "mask | "),
    "strategies": lambda nodes: _retrained(nodes, ""),
    "wells": MeasurementNodes.wells,
}
