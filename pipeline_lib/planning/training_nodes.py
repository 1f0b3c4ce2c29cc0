"""The nodes of one task and one chunk of seeds: from a run that is wanted to all that leads to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache, wraps
from typing import Any

from pipeline_lib.core import registry
from pipeline_lib.experiments import criteria, starts
from pipeline_lib.experiments.changes import Change, Perturbation, Rule, Start, Teaching
from pipeline_lib.experiments.config import chunks
from pipeline_lib.experiments.figure_needs import FIGURES
from pipeline_lib.experiments.runs import Run, rung
from pipeline_lib.experiments.settings.groups import stage_options
from pipeline_lib.experiments.settings.options import Grid
from pipeline_lib.planning.declared import EACH, STAGES
from pipeline_lib.planning.nodes import Node, Plan

_NUMERICS = ("precision", "channels_last")
# What a training step depends on, and what a measurement does.
_DYNAMICS = ("name", "network", "initialisation", "dataset", "optimiser", "schedule", "batch_size", "pad", "flip", *_NUMERICS)
MEASURED = ("name", "network", "dataset", *_NUMERICS)


def label(*parts: object) -> str:
    """Join the parts of a readable name."""
    return "-".join(str(part) for part in parts if part != "")


def _span(prefix: str, values: Sequence[int]) -> str:
    return prefix + (f"{values[0]}" if len(values) == 1 else f"{values[0]}to{values[-1]}")


@cache
def _words(text: str) -> str:
    """Shorten a start to what a folder's name may hold."""
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in text.replace(" ", "")).strip("_")[:60]


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

    def __init__(self, plan: Plan, e: Grid, seeds: tuple[int, ...], figures: Sequence[str]) -> None:
        self.plan, self.e, self.task, self.seeds, self.figures = plan, e, e.task, seeds, figures
        self.tables = {table for figure in figures for table in FIGURES[figure].tables}
        self.wanted = {each: self._wanted(each) for each in EACH}
        self.who = f"{e.task['name']}-{_span('s', seeds)}"
        self.dynamics = {key: self.task[key] for key in _DYNAMICS}
        name = e.task["dataset"]["name"]
        self.data = plan.add("prepare", name, {"dataset": e.task["dataset"]}, {})
        self.sizes: dict[str, Node] = {}
        self.ratios: dict[str, Node] = {}
        self.made: dict[tuple[Any, ...], Node] = {}

    @_once
    def pretrain(self, k: int, draw: str = "W0") -> Node:
        """W_k of the dense network."""
        spec = {"task": self.dynamics, "k": k, "seeds": list(self.seeds), "order": self.e.orders[0], "draw": draw}
        name = label(self.who, f"k{k}", "" if draw == "W0" else draw)
        return self.plan.add("pretrain", name, spec, {"data": [self.data]}, num_steps=k * len(self.seeds))

    def read(self, run: Run) -> Start:
        """What a run starts from."""
        return starts.parse(run.start or f"k{run.k}", self.task)

    def rung(self, run: Run, level: int) -> Node:
        """The trained network of a level of the ladder that a run's mask comes from."""
        return self.train(rung(self.e, run, level), (self.e.orders[0],))

    @_once
    def mask(self, run: Run) -> Node:
        """A run's mask: its ladder's, or that shuffled, or that of the ladder's solution pruned once more."""
        further = self.read(run).further
        if further:
            return self.pruned(run, further.criterion, further.fraction)
        own = rung(self.e, run, run.level)
        if run.kind == "random_prune":
            return self._shuffled(own)
        return self._pruned(own) if run == own else self.mask(own)

    def masked(self, run: Run) -> list[Node]:
        """A run's mask, if it has one."""
        return [self.mask(run)] if run.level or self.read(run).further else []

    def _shuffled(self, run: Run) -> Node:
        spec = {"criterion": "shuffled", "k": run.k, "level": run.level, "seeds": list(self.seeds)}
        name = label(self.who, f"k{run.k}", f"L{run.level}", "shuffled")
        return self.plan.add("prune", name, spec, {"mask": [self.mask(run)]})

    def pruned(self, run: Run, criterion: str, fraction: float) -> Node:
        """What is left when the ladder's solution at a run's level is pruned by so much."""
        before = self.masked(rung(self.e, run, run.level))
        return self._next(run.k, run.level + 1, criterion, fraction, {"state": [self.rung(run, run.level)], "mask": before})

    def _next(self, k: int, level: int, criterion: str, fraction: float, pruned: dict[str, list[Node]]) -> Node:
        """What a criterion leaves of a state and mask; the derivatives that it looks at are jobs before."""
        at = {"k": k, "level": level, "seeds": list(self.seeds)}
        name, parents = label(self.who, f"k{k}", f"L{level}"), dict(pruned)
        task = {key: self.task[key] for key in MEASURED}
        how = {"task": task, "batch_size": self.task["batch_size"], "examples": self.e.pruning.examples}
        for derivative in criteria.derivatives(criterion):
            spec = {"derivative": derivative, **how, **at}
            parents[derivative] = [self.plan.add("score", label(name, derivative), spec, {"data": [self.data], **pruned})]
        spec = {"criterion": criterion, "scope": self.e.pruning.scope, "fraction": fraction, **at}
        return self.plan.add("prune", name, spec, parents)

    def _adapted(self, run: Run, rule: Rule) -> Node:
        """The mask of a ladder whose ratios are decided level by level."""
        pruning, before = self.e.pruning, rung(self.e, run, run.level - 1)
        spec = {"task": self.task, "seeds": list(self.seeds), "k": run.k, "level": run.level, "start": self.read(run).ladder}
        spec |= {"rule": rule.rule, "floor": pruning.fraction, "scope": pruning.scope, "criterion": "magnitude"}
        parents = {"data": [self.data], "state": [self.rung(run, before.level)], "dense": [self.rung(run, 0)]}
        parents |= {"mask": self.masked(before)}
        name = label(self.who, f"k{run.k}", f"L{run.level}", _words(run.start))
        node = self.plan.add("adapt", name, spec | {"order": self.e.orders[0]}, parents)
        self.ratios[node.key] = node
        return node

    def _pruned(self, run: Run) -> Node:
        pruning, rule = self.e.pruning, self.read(run).rule
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
        start = self.read(run)
        if run.kind == "reinit":
            state = self.pretrain(0, f"reinit-k{run.k}")
        elif run.level and start.retraining and start.retraining.resumes:
            state = self.rung(run, run.level - 1)
        else:
            state = self._change(run, self.pretrain(run.k), start.before, start, [])
        mask = self.masked(run)
        if mask:
            name = label(self.who, f"k{run.k}", f"L{run.level}", run.kind)
            state = self.plan.add("rewind", name, {"step": start.step(masked=False)}, {"state": [state], "mask": mask})
        return self._change(run, state, start.after, start, mask)

    def _change(self, run: Run, state: Node, changes: Sequence[Change], start: Start, mask: list[Node]) -> Node:
        """Lead a state through changes, one after the other."""
        for i, change in enumerate(changes):
            # A draw is one for all levels; it depends on what is changed and how, not on what follows.
            text = " | ".join([start.ladder if changes is start.after else f"k{run.k}", *(c.text for c in changes[: i + 1])])
            spec = {"kind": run.kind, "k": run.k, "level": run.level if mask else 0, "seeds": list(self.seeds), "start": text}
            name = label(self.who, f"L{spec['level']}", "" if run.kind == "imp" else run.kind, _words(text))
            if isinstance(change, Teaching):
                spec = {key: spec[key] for key in ("seeds", "start")}
                own = self.e.orders[0]
                # Before the task there are other batches than in it: orders below 0 are no replicate's.
                spec |= {"task": self.dynamics, "pretexts": list(change.pretexts), "order": -1 - own if change.restart else own}
                spec |= {"until": change.until, "restart": change.restart}
                steps = (change.until - (0 if change.restart else start.k)) * len(self.seeds)
                parents = {"data": [self.data], "start": [state], "mask": mask}
                name = label(self.who, _words(text))
                state = self.plan.add("teach", name, spec, parents, num_steps=steps)
            elif isinstance(change, Perturbation):
                spec |= {"steps": list(change.steps), "name": self.task["name"]}
                spec |= {"initialisation": self.task["initialisation"]["name"]}
                around = {"initial": [self.pretrain(0)], "fresh": [self.pretrain(0, "fresh")]}
                if change.wants_next_mask:
                    around["next"] = [self.mask(rung(self.e, run, run.level + 1))]
                state = self.plan.add("perturb", name, spec, {"start": [state], "mask": mask, **around})
                self.sizes[state.key] = state
        return state

    @_once
    def train(self, run: Run, orders: tuple[int, ...], kept: tuple[int, ...] = ()) -> Node:
        """Runs of the given orders from one start; a run that keeps states is another artifact.

        Masks come from runs that keep none, so that a ladder is the same one whether or not its dense run is followed.
        """
        start = self.read(run)
        members = [[seed, order] for seed in self.seeds for order in orders]
        strategy = start.retraining if run.level else None
        task = registry.call("strategies", strategy.strategy).recipe(self.task) if strategy else self.task
        spec = {"task": task, "kind": run.kind, "k": run.k, "level": run.level, "start": start.text, "members": members}
        kind = "" if run.level == 0 else run.kind
        name = label(self.who, f"k{run.k}", f"L{run.level}", kind, _span("o", orders), _words(run.start))
        mask = self.masked(run)
        parents = {"data": [self.data], "start": [self.start(run)], "mask": mask}
        steps = (self.task["steps"] - start.step()) * len(members)
        if kept:
            spec["keep"] = list(kept)
        return self.plan.add("trace" if kept else "train", name, spec, parents, num_steps=steps, num_runs=len(members))

    def kept(self, run: Run) -> tuple[int, ...]:
        """List the steps at which a run's states are kept: those of `throughout` after its start, and the last."""
        asked = self.e.throughout
        if "throughout" not in self.tables or asked is None or run.level or run.start or run.k not in asked.rewind:
            return ()
        steps = range((run.k // asked.every + 1) * asked.every, self.task["steps"], asked.every)
        return tuple(sorted({*steps, self.task["steps"]}))

    def orders_apart(self, orders: Iterable[int]) -> list[tuple[int, ...]]:
        """Group orders into jobs; the ladder's own is always a job of its own."""
        first = self.e.orders[0]
        rest = sorted(set(orders) - {first})
        return [(first,), *chunks(rest, self.e.per_job.orders)]

    def _wanted(self, each: str) -> list[str]:
        """List the stages that are planned for each of something: by what figures ask for, and the config where it may."""
        unasked = stage_options().keys() - self.e.asked
        found = [stage for stage in STAGES.values() if stage.each == each and self.tables.intersection(stage.tables)]
        return [stage.name for stage in found if stage.name not in unasked]

    def _each(self, stage: str, run: Run, jobs: list[tuple[tuple[int, ...], Node]]) -> list[Node]:
        """Measure the networks of each job."""
        made = []
        for orders, node in jobs:
            spec = {"task": {key: self.task[key] for key in MEASURED}, "kind": run.kind, "k": run.k, "level": run.level}
            spec |= {"members": [[seed, order] for seed in self.seeds for order in orders], **self.e.asked.get(stage, {})}
            parents = {"data": [self.data], "state": [node], "mask": self.masked(run)}
            made.append(self.plan.add(stage, self._who(run, orders), spec, parents))
        return made

    def _who(self, run: Run, orders: Sequence[int]) -> str:
        return label(self.who, f"k{run.k}", f"L{run.level}", "" if run.level == 0 else run.kind, _span("o", orders))

    def compare(self, stage: str, run: Run, jobs: list[tuple[tuple[int, ...], Node]], **how: Any) -> list[Node]:
        """Compare each job's runs among themselves and with all earlier ones of the same seed."""
        made: list[Node] = []
        seen: list[int] = []
        nodes: list[Node] = []
        task = {key: self.task[key] for key in MEASURED}
        for orders, node in jobs:
            pairs = [[s, i, j] for s in self.seeds for j in orders for i in [*seen, *orders] if i < j]
            seen, nodes = [*seen, *orders], [*nodes, node]
            if pairs:
                spec = {"task": task, "kind": run.kind, "k": run.k, "level": run.level, "pairs": pairs}
                spec |= how
                parents = {"data": [self.data], "states": list(nodes)}
                made.append(self.plan.add(stage, self._who(run, orders), spec, parents))
        return made

    def measure(self, run: Run, orders: Iterable[int]) -> dict[str, list[Node]]:
        """Train the given orders from one start, and compare them; nodes by the stage that a table is measured by."""
        kept = self.kept(run)
        jobs = [(group, self.train(run, group, kept)) for group in self.orders_apart(orders)]
        found = {"train": [node for _, node in jobs]}
        for stage in dict.fromkeys(["interpolate", *self.wanted["pairs"]]):
            how = self._how(stage, run, kept)
            if how is not None:
                found[stage] = self.compare(stage, run, jobs, **how)
        return found | {stage: self._each(stage, run, jobs) for stage in self.wanted["runs"]}

    def _how(self, stage: str, run: Run, kept: tuple[int, ...]) -> dict[str, Any] | None:
        """Say how closely pairs of a run are to be compared; None where that is not asked for."""
        e = self.e
        if stage == "interpolate":
            return {"alphas": e.alphas, "splits": list(e.splits), "batchnorm": list(e.batchnorm)}
        if stage == "follow":
            return {"alphas": e.throughout.alphas, "keep": list(kept)} if kept and e.throughout else None
        if stage == "layers":
            return {"alphas": e.alphas} if e.layerwise and not run.level else None
        return e.asked.get(stage, {})
