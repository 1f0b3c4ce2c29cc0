"""The nodes of one task and one chunk of seeds: from a run that is wanted to all that leads to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import wraps
from typing import TYPE_CHECKING, Any, cast

from pipeline_lib.core import registry
from pipeline_lib.experiments import criteria
from pipeline_lib.experiments.changes import Perturbation, Rule, Start, Teaching
from pipeline_lib.experiments.runs import Run, noise, rung
from pipeline_lib.experiments.settings.options import Grid
from pipeline_lib.planning import named_stages as stages
from pipeline_lib.planning.expansion import brought_nodes
from pipeline_lib.planning.expansion.labels import label, span, words
from pipeline_lib.planning.nodes import Node, Plan

if TYPE_CHECKING:
    from pipeline_lib.store import specs


def _dynamics(task: specs.Task) -> specs.Dynamics:
    """Say what a training step depends on."""
    return {
        "name": task["name"],
        "network": task["network"],
        "initialisation": task["initialisation"],
        "dataset": task["dataset"],
        "optimiser": task["optimiser"],
        "schedule": task["schedule"],
        "batch_size": task["batch_size"],
        "pad": task["pad"],
        "flip": task["flip"],
        "precision": task["precision"],
        "channels_last": task["channels_last"],
    }


def _measured(task: specs.Task) -> specs.MeasuredTask:
    """Say what a measurement depends on."""
    return {
        "name": task["name"],
        "network": task["network"],
        "dataset": task["dataset"],
        "precision": task["precision"],
        "channels_last": task["channels_last"],
    }


def _changed(start: Start) -> str:
    return words(start.text) if start.change else ""


def _once(method: Callable[..., Node]) -> Callable[..., Node]:
    """Remember the nodes that a method gave, by its arguments: many runs lead to the same ones."""

    @wraps(method)
    def remembered(training: TrainingNodes, *arguments: Any) -> Node:
        at = (method.__name__, *arguments)
        if at not in training.made:
            training.made[at] = method(training, *arguments)
        return training.made[at]

    return remembered


class TrainingNodes:
    """Adds the nodes of one task and one chunk of seeds to a plan."""

    def __init__(self, plan: Plan, e: Grid, seeds: tuple[int, ...]) -> None:
        self.plan, self.e, self.seeds = plan, e, seeds
        self.task = cast("specs.Task", e.task)
        self.dynamics, self.measured = _dynamics(self.task), _measured(self.task)
        self.who = f"{e.task['name']}-{span('s', seeds)}"
        spec: stages.prepare.Spec = {"dataset": self.task["dataset"]}
        self.data = plan.add(stages.prepare, self.task["dataset"]["name"], spec, {})
        self.sizes: dict[str, Node] = {}
        self.ratios: dict[str, Node] = {}
        self.brought: dict[str, Node] = {}
        self.made: dict[tuple[Any, ...], Node] = {}

    @_once
    def pretrain(self, k: int, draw: str = "W0") -> Node:
        """W_k of the dense network."""
        spec: stages.pretrain.Spec = {
            "task": self.dynamics,
            "k": k,
            "seeds": list(self.seeds),
            "order": self.e.orders[0],
            "draw": draw,
        }
        name = label(self.who, f"k{k}", "" if draw == "W0" else draw)
        return self.plan.add(stages.pretrain, name, spec, {"data": [self.data]}, num_steps=k * len(self.seeds))

    def rung(self, run: Run, level: int) -> Node:
        """The trained network of a level of the ladder that a run's mask comes from."""
        return self.train(rung(self.e, run, level), (self.e.orders[0],))

    @_once
    def mask(self, run: Run) -> Node:
        """A run's mask: its ladder's, or that shuffled, or that of the ladder's solution pruned once more; or one of its own."""
        if run.start.masked:
            return brought_nodes.mask(self, run.start.masked.name)
        further = run.start.further
        if further:
            return self.pruned(run, further.criterion, further.fraction)
        own = rung(self.e, run, run.level)
        if run.kind == "random_prune":
            return self._shuffled(own)
        return self._pruned(own) if run == own else self.mask(own)

    def masked(self, run: Run) -> list[Node]:
        """A run's mask, if it has one."""
        return [self.mask(run)] if run.level or run.start.further or run.start.masked else []

    def _shuffled(self, run: Run) -> Node:
        spec: stages.prune.Spec = {"criterion": "shuffled", "k": run.k, "level": run.level, "seeds": list(self.seeds)}
        name = label(self.who, f"k{run.k}", f"L{run.level}", "shuffled")
        return self.plan.add(stages.prune, name, spec, {"mask": [self.mask(run)]})

    def pruned(self, run: Run, criterion: str, fraction: float) -> Node:
        """What is left when the ladder's solution at a run's level is pruned by so much."""
        before = self.masked(rung(self.e, run, run.level))
        return self._next(run.k, run.level + 1, criterion, fraction, {"state": [self.rung(run, run.level)], "mask": before})

    def _next(self, k: int, level: int, criterion: str, fraction: float, pruned: dict[str, list[Node]]) -> Node:
        """What a criterion leaves of a state and mask; the derivatives that it looks at are jobs before."""
        name, parents = label(self.who, f"k{k}", f"L{level}"), dict(pruned)
        for derivative in criteria.derivatives(criterion):
            scores: stages.score.Spec = {
                "derivative": derivative,
                "task": self.measured,
                "batch_size": self.task["batch_size"],
                "examples": self.e.pruning.examples,
                "k": k,
                "level": level,
                "seeds": list(self.seeds),
            }
            read = {"data": [self.data], **pruned}
            parents[derivative] = [self.plan.add(stages.score, label(name, derivative), scores, read)]
        spec: stages.prune.Spec = {
            "criterion": criterion,
            "scope": self.e.pruning.scope,
            "fraction": fraction,
            "k": k,
            "level": level,
            "seeds": list(self.seeds),
        }
        return self.plan.add(stages.prune, name, spec, parents)

    def _adapted(self, run: Run, rule: Rule) -> Node:
        """The mask of a ladder whose ratios are decided level by level."""
        pruning, before = self.e.pruning, rung(self.e, run, run.level - 1)
        spec: stages.adapt.Spec = {
            "task": self.task,
            "seeds": list(self.seeds),
            "k": run.k,
            "level": run.level,
            "start": run.start.worded(run.start.before),
            "rule": rule.rule,
            "floor": pruning.fraction,
            "scope": pruning.scope,
            "criterion": "magnitude",
            "order": self.e.orders[0],
        }
        parents = {"data": [self.data], "state": [self.rung(run, before.level)], "dense": [self.rung(run, 0)]}
        parents |= {"mask": self.masked(before)}
        name = label(self.who, f"k{run.k}", f"L{run.level}", _changed(run.start))
        node = self.plan.add(stages.adapt, name, spec, parents)
        self.ratios[node.key] = node
        return node

    def _pruned(self, run: Run) -> Node:
        pruning, rule = self.e.pruning, run.start.rule
        if rule:
            return self._adapted(run, rule)
        source = rung(self.e, run, 0 if pruning.one_shot else run.level - 1)
        fraction = pruning.fraction
        if pruning.densities:
            kept = pruning.density(run.level) / pruning.density(source.level)
            fraction = round(1 - kept, 12)
        # A mask is its solution's or its start's, whatever is done with it later.
        at_start = pruning.at == "start"
        state = self.start(rung(self.e, run, 0)) if at_start else self.train(source, (self.e.orders[0],))
        pruned = {"state": [state], "mask": self.masked(source)}
        return self._next(run.k, run.level, pruning.criterion, fraction, pruned)

    @_once
    def start(self, run: Run) -> Node:
        """The state that a run starts from."""
        start = run.start
        if run.kind == "reinit":
            state = base = self.pretrain(0, f"reinit-k{run.k}")
        elif run.level and start.retraining and start.retraining.resumes:
            state = base = self.rung(run, run.level - 1)
        else:
            state = base = self._begun(run)
            state, base = self._change(run, state, base, [])
        mask = self.masked(run)
        if mask:
            name = label(self.who, f"k{run.k}", f"L{run.level}", run.kind)
            spec: stages.rewind.Spec = {"step": start.step(masked=False)}
            perturbed = any(isinstance(change, Perturbation) for change in start.after)
            alone = state is base or not perturbed
            state = self.plan.add(stages.rewind, name, spec, {"state": [state], "mask": mask})
            base = state if alone else self.plan.add(stages.rewind, name, spec, {"state": [base], "mask": mask})
        return self._change(run, state, base, mask, after=True)[0]

    def _begun(self, run: Run) -> Node:
        """What a start begins with: W_k, or a checkpoint that the config brings."""
        name = run.start.checkpoint
        return brought_nodes.state(self, name, self.seeds) if name else self.pretrain(run.k)

    def _change(self, run: Run, state: Node, base: Node, mask: list[Node], *, after: bool = False) -> tuple[Node, Node]:
        """Lead a state through changes, before or after masking; beside it that which no perturbation has changed."""
        before = run.start.before
        changes = run.start.after if after else before
        for i, change in enumerate(changes):
            # A draw is one for all levels; it depends on what is changed and how, not on what follows.
            done = changes[: i + 1]
            so_far = replace(run.start, before=before if after else done, after=done if after else ())
            if isinstance(change, Teaching):
                text = so_far.worded([*so_far.before, *so_far.after])
                state = base = self._teach(change, text, run.k, state, mask)
            elif isinstance(change, Perturbation):
                state = self._perturb(change, so_far.text, run, state, base, mask)
        return state, base

    def _teach(self, change: Teaching, text: str, k: int, state: Node, mask: list[Node]) -> Node:
        spec: stages.teach.Spec = {
            "seeds": list(self.seeds),
            "start": text,
            "task": self.dynamics,
            "pretexts": list(change.pretexts),
            # Before the task there are other batches than in it: orders below 0 are no replicate's.
            "order": -1 - self.e.orders[0] if change.restart else self.e.orders[0],
            "until": change.until,
            "restart": change.restart,
        }
        steps = (change.until - (0 if change.restart else k)) * len(self.seeds)
        parents = {"data": [self.data], "start": [state], "mask": mask}
        return self.plan.add(stages.teach, label(self.who, words(text)), spec, parents, num_steps=steps)

    def _perturb(self, change: Perturbation, text: str, run: Run, state: Node, base: Node, mask: list[Node]) -> Node:
        spec: stages.perturb.Spec = {
            "kind": run.kind,
            "k": run.k,
            "level": run.level if mask else 0,
            "seeds": list(self.seeds),
            "start": text,
            "steps": list(change.steps),
            "name": self.task["name"],
            "initialisation": self.task["initialisation"]["name"],
        }
        parents = {"start": [state], "mask": mask, "initial": [self.pretrain(0)], "fresh": [self.pretrain(0, "fresh")]}
        if base is not state:
            parents["unperturbed"] = [base]
        if change.wants_next_mask:
            parents["next"] = [self.mask(rung(self.e, run, run.level + 1))]
        name = label(self.who, f"L{spec['level']}", "" if run.kind == "imp" else run.kind, words(text))
        node = self.plan.add(stages.perturb, name, spec, parents)
        self.sizes[node.key] = node
        return node

    @_once
    def train(self, run: Run, orders: tuple[int, ...], kept: tuple[int, ...] = ()) -> Node:
        """Runs of the given orders from one start; a run that keeps states is another artifact.

        Masks come from runs that keep none, so that a ladder is the same one whether or not its dense run is followed.
        """
        start, strategy = run.start, run.start.retraining if run.level else None
        spec: stages.train.Spec = {
            "task": registry.call("strategies", strategy.strategy).recipe(self.task) if strategy else self.task,
            "kind": run.kind,
            "k": run.k,
            "level": run.level,
            "start": start.text,
            "members": self.members(run, orders),
        }
        kind = "" if run.level == 0 else run.kind
        name = label(self.who, f"k{run.k}", f"L{run.level}", kind, span("o", orders), _changed(run.start))
        parents = {"data": [self.data], "start": [self.start(run)], "mask": self.masked(run)}
        num_runs = len(spec["members"])
        counts = {"num_steps": (self.task["steps"] - start.step()) * num_runs, "num_runs": num_runs}
        if not kept:
            return self.plan.add(stages.train, name, spec, parents, **counts)
        traced: stages.trace.Spec = {**spec, "keep": list(kept)}
        return self.plan.add(stages.trace, name, traced, parents, **counts)

    def members(self, run: Run, orders: Sequence[int]) -> list[list[int]]:
        """List a job's members: each seed with each order, as `noise` numbers it."""
        return [[seed, noise(self.e, run.level, order)] for seed in self.seeds for order in orders]
