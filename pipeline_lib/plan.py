"""The plan: from a config to the Merkle DAG of artifacts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pipeline_lib import registry
from pipeline_lib.config import chunks, level_density
from pipeline_lib.demands import FIGURES, Run, with_ancestors
from pipeline_lib.experiment import Config, Experiment, Grid
from pipeline_lib.fingerprint import fingerprint

# The files that each stage makes; the first is what later stages read unless they say otherwise.
OUTPUTS: dict[str, tuple[str, ...]] = {
    "prepare": ("data.safetensors",),
    "pretrain": ("state.safetensors",),
    "prune": ("mask.safetensors",),
    "rewind": ("state.safetensors",),
    "train": ("state.safetensors", "runs.parquet", "curves.parquet"),
    "interpolate": ("interpolation.parquet", "instability.parquet"),
    "tabulate": ("table.parquet",),
    "plot": ("figure.svg", "figure.png"),
}
TABLES = {"runs": "train", "curves": "train", "interpolation": "interpolate", "instability": "interpolate"}
_NUMERICS = ("precision", "channels_last")
# What a training step depends on, and what a measurement does.
_DYNAMICS = ("name", "network", "initialisation", "dataset", "optimiser", "schedule", "batch_size", "pad", "flip", *_NUMERICS)
_MEASURED = ("name", "network", "dataset", *_NUMERICS)


@dataclass(frozen=True)
class Node:
    """One artifact: a stage's job and the folder that it fills.

    Args:
        stage: which stage makes it.
        label: readable part of the folder's name, a function of the spec.
        spec: all that the stage needs to know, as JSON.
        parents: keys of the artifacts it reads, by role.
        key: hash of all that its content depends on.
        num_steps: training steps in it, over all members.
        num_runs: full training runs in it.
    """

    stage: str
    label: str
    spec: dict[str, Any]
    parents: dict[str, tuple[str, ...]]
    key: str
    num_steps: int = 0
    num_runs: int = 0

    @property
    def folder(self) -> str:
        """Path under the results folder."""
        return f"artifacts/{self.stage}/{self.label}-{self.key}"

    def files(self) -> list[str]:
        """Paths of its files under the results folder."""
        return [f"{self.folder}/{name}" for name in OUTPUTS[self.stage]]


def node_key(stage: str, spec: dict[str, Any], code: str, parents: dict[str, tuple[str, ...]]) -> str:
    """Hash all that an artifact's content depends on."""
    text = json.dumps([stage, spec, code, parents], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def stage_modules(stage: str, spec: dict[str, Any]) -> tuple[str, ...]:
    """List the modules whose code decides an artifact: the stage's own and the registered functions that its spec names."""
    modules = [f"pipeline_lib.stages.{stage}"]
    if "task" in spec:
        modules.append(registry.entries("networks")[spec["task"]["network"]["name"]].module)
    if stage == "pretrain":
        modules.append("pipeline_lib.initialise")
    if stage == "prepare":
        modules.append(registry.entries("datasets")[spec["dataset"]["name"]].module)
    if stage == "plot":
        modules.append(registry.entries("figures")[spec["figure"]].module)
    return tuple(modules)


def stage_code(stage: str, spec: dict[str, Any], pinned: dict[str, str]) -> str:
    """Fingerprint a node's code, unless the config pins the stage."""
    return pinned.get(stage) or fingerprint(*stage_modules(stage, spec))


@dataclass
class Plan:
    """All nodes by key, and for each experiment its tables and figures."""

    config: Config
    nodes: dict[str, Node] = field(default_factory=dict)
    tables: dict[str, dict[str, Node]] = field(default_factory=dict)
    figures: dict[str, dict[str, Node]] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=lambda: {"runs": 0, "steps": 0})

    def add(self, stage: str, label: str, spec: dict[str, Any], parents: Mapping[str, Sequence[Node]], **counts: int) -> Node:
        """Add a node, or return the equal one that is already there."""
        keys = {role: tuple(node.key for node in nodes) for role, nodes in parents.items() if nodes}
        key = node_key(stage, spec, stage_code(stage, spec, self.config.fingerprints), keys)
        return self.nodes.setdefault(key, Node(stage, label, spec, keys, key, **counts))

    def parents(self, node: Node) -> dict[str, list[Node]]:
        """Look up the nodes that a node reads, by role."""
        return {role: [self.nodes[key] for key in keys] for role, keys in node.parents.items()}

    @cached_property
    def by_folder(self) -> dict[str, Node]:
        """All nodes by the name of their folder."""
        return {f"{node.stage}/{node.label}-{node.key}": node for node in self.nodes.values()}

    def identity(self) -> str:
        """Hash the whole plan: any change of config or code that matters changes it."""
        return hashlib.sha256("\n".join(sorted(self.nodes)).encode()).hexdigest()[:12]


def _label(*parts: object) -> str:
    return "-".join(str(part) for part in parts if part != "")


def _span(prefix: str, values: Sequence[int]) -> str:
    return prefix + (f"{values[0]}" if len(values) == 1 else f"{values[0]}to{values[-1]}")


class _Walk:
    """Adds the nodes of one task and one chunk of seeds to a plan."""

    def __init__(self, plan: Plan, e: Grid, seeds: tuple[int, ...]) -> None:
        self.plan, self.e, self.task, self.seeds = plan, e, e.task, seeds
        self.who = f"{e.task['name']}-{_span('s', seeds)}"
        name = e.task["dataset"]["name"]
        self.data = plan.add("prepare", name, {"dataset": e.task["dataset"]}, {})
        self.masks: dict[tuple[str, int, int], Node] = {}
        self.starts: dict[tuple[str, int, int], Node] = {}

    def pretrain(self, k: int, draw: str = "W0") -> Node:
        task = {key: self.task[key] for key in _DYNAMICS}
        spec = {"task": task, "k": k, "seeds": list(self.seeds), "order": self.e.orders[0], "draw": draw}
        label = _label(self.who, f"k{k}", "" if draw == "W0" else draw)
        return self.plan.add("pretrain", label, spec, {"data": [self.data]}, num_steps=k * len(self.seeds))

    def mask(self, kind: str, k: int, level: int) -> Node:
        at = ("random_prune" if kind == "random_prune" else "imp", k, level)
        if at not in self.masks:
            self.masks[at] = self._shuffled(k, level) if at[0] == "random_prune" else self._pruned(k, level)
        return self.masks[at]

    def _shuffled(self, k: int, level: int) -> Node:
        spec = {"criterion": "shuffled", "k": k, "level": level, "seeds": list(self.seeds)}
        label = _label(self.who, f"k{k}", f"L{level}", "shuffled")
        return self.plan.add("prune", label, spec, {"mask": [self.mask("imp", k, level)]})

    def _pruned(self, k: int, level: int) -> Node:
        pruning = self.e.pruning
        source = 0 if pruning.get("one_shot") else level - 1
        fraction = pruning["fraction"]
        if "densities" in pruning:
            fraction = round(1 - level_density(pruning, level) / level_density(pruning, source), 12)
        spec = {key: pruning[key] for key in ("criterion", "scope")}
        spec |= {"fraction": fraction, "k": k, "level": level, "seeds": list(self.seeds)}
        before = [self.mask("imp", k, source)] if source else []
        trained = self.train(Run("imp", k, source, self.e.orders[0]), (self.e.orders[0],))
        return self.plan.add("prune", _label(self.who, f"k{k}", f"L{level}"), spec, {"state": [trained], "mask": before})

    def start(self, kind: str, k: int, level: int) -> Node:
        at = (kind, k, level)
        if at not in self.starts:
            state = self.pretrain(0, f"reinit-k{k}") if kind == "reinit" else self.pretrain(k)
            if level:
                label = _label(self.who, f"k{k}", f"L{level}", kind)
                parents = {"state": [state], "mask": [self.mask(kind, k, level)]}
                state = self.plan.add("rewind", label, {"step": k}, parents)
            self.starts[at] = state
        return self.starts[at]

    def train(self, run: Run, orders: tuple[int, ...]) -> Node:
        members = [[seed, order] for seed in self.seeds for order in orders]
        spec = {"task": self.task, "kind": run.kind, "k": run.k, "level": run.level, "members": members}
        label = _label(self.who, f"k{run.k}", f"L{run.level}", "" if run.level == 0 else run.kind, _span("o", orders))
        mask = [self.mask(run.kind, run.k, run.level)] if run.level else []
        parents = {"data": [self.data], "start": [self.start(run.kind, run.k, run.level)], "mask": mask}
        steps = (self.task["steps"] - run.k) * len(members)
        return self.plan.add("train", label, spec, parents, num_steps=steps, num_runs=len(members))

    def orders_apart(self, orders: Iterable[int]) -> list[tuple[int, ...]]:
        """Group orders into jobs; the ladder's own is always a job of its own."""
        first = self.e.orders[0]
        rest = sorted(set(orders) - {first})
        return [(first,), *chunks(rest, self.plan.config.per_job["orders"])]

    def interpolate(self, run: Run, jobs: list[tuple[tuple[int, ...], Node]]) -> list[Node]:
        """Compare each job's runs among themselves and with all earlier ones of the same seed."""
        made: list[Node] = []
        seen: list[int] = []
        nodes: list[Node] = []
        task = {key: self.task[key] for key in _MEASURED}
        for orders, node in jobs:
            pairs = [[s, i, j] for s in self.seeds for j in orders for i in [*seen, *orders] if i < j]
            seen, nodes = [*seen, *orders], [*nodes, node]
            if pairs:
                spec = {"task": task, "kind": run.kind, "k": run.k, "level": run.level, "pairs": pairs}
                spec |= {"alphas": self.e.alphas, "splits": list(self.e.splits)}
                label = _label(self.who, f"k{run.k}", f"L{run.level}", "" if run.level == 0 else run.kind, _span("o", orders))
                parents = {"data": [self.data], "states": list(nodes)}
                made.append(self.plan.add("interpolate", label, spec, parents))
        return made


def _measure(plan: Plan, e: Grid, runs: set[Run]) -> dict[str, dict[str, Node]]:
    """Add the training and interpolation nodes of a task's part of an experiment, by stage and key."""
    by_start: dict[tuple[str, int, int], set[int]] = {}
    for run in sorted(runs):
        by_start.setdefault((run.kind, run.k, run.level), set()).add(run.order)
    found: dict[str, dict[str, Node]] = {"train": {}, "interpolate": {}}
    for seeds in chunks(e.seeds, plan.config.per_job["seeds"]):
        walk = _Walk(plan, e, seeds)
        for (kind, k, level), orders in by_start.items():
            run = Run(kind, k, level, e.orders[0])
            jobs = [(group, walk.train(run, group)) for group in walk.orders_apart(orders)]
            found["train"].update({node.key: node for _, node in jobs})
            found["interpolate"].update({node.key: node for node in walk.interpolate(run, jobs)})
    return found


def _needed(plan: Plan, e: Grid, figures: Sequence[str]) -> set[Run]:
    """Unite what the figures need, and count what they ask for one by one."""
    needed: set[Run] = set()
    for figure in figures:
        runs = with_ancestors(e, FIGURES[figure].runs(e))
        plan.asked["runs"] += len(runs) * len(e.seeds)
        plan.asked["steps"] += sum(e.task["steps"] - run.k for run in runs) * len(e.seeds)
        needed |= runs
    return needed


def _add_experiment(plan: Plan, e: Experiment) -> None:
    nodes: dict[str, dict[str, Node]] = {"train": {}, "interpolate": {}}
    for grid in e.grids.values():
        for stage, found in _measure(plan, grid, _needed(plan, grid, e.figures)).items():
            nodes[stage] |= found
    tables = {}
    for table, stage in TABLES.items():
        if nodes[stage]:
            parts = {"parts": list(nodes[stage].values())}
            tables[table] = plan.add("tabulate", _label(e.name, table), {"table": table}, parts)
    figures = {}
    sparse_levels = {task: grid.sparse_level for task, grid in e.grids.items()}
    for figure in e.figures:
        used = {table: [tables[table]] for table in FIGURES[figure].tables if table in tables}
        if len(used) == len(FIGURES[figure].tables):
            spec = {"figure": figure, "sparse_levels": sparse_levels if FIGURES[figure].sparse else {}}
            figures[figure] = plan.add("plot", _label(e.name, figure), spec, dict(used))
    plan.tables[e.name], plan.figures[e.name] = tables, figures


def make_plan(config: Config) -> Plan:
    """Expand a config to its plan; equal artifacts of different experiments are one node.

    Args:
        config: checked and complete.

    Returns:
        The plan; nothing is read or written.

    Raises:
        ValueError: a fingerprint is pinned for a stage that does not exist.
    """
    for stage in set(config.fingerprints) - set(OUTPUTS):
        raise registry.unknown("stage of fingerprints", stage, list(OUTPUTS))
    plan = Plan(config)
    for e in config.experiments.values():
        _add_experiment(plan, e)
    return plan
