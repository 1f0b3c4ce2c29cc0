"""The plan: from a config to the Merkle DAG of artifacts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from pipeline_lib import claims, registry
from pipeline_lib.config import CLAIMS, chunks, level_density
from pipeline_lib.demands import FIGURES, Run, with_ancestors
from pipeline_lib.experiment import Config, Experiment, Grid
from pipeline_lib.nodes import DERIVED, OUTPUTS, TABLES, Node, Plan

_NUMERICS = ("precision", "channels_last")
# What a training step depends on, and what a measurement does.
_DYNAMICS = ("name", "network", "initialisation", "dataset", "optimiser", "schedule", "batch_size", "pad", "flip", *_NUMERICS)
_MEASURED = ("name", "network", "dataset", *_NUMERICS)


def _label(*parts: object) -> str:
    return "-".join(str(part) for part in parts if part != "")


def _span(prefix: str, values: Sequence[int]) -> str:
    return prefix + (f"{values[0]}" if len(values) == 1 else f"{values[0]}to{values[-1]}")


class _Walk:
    """Adds the nodes of one task and one chunk of seeds to a plan."""

    def __init__(self, plan: Plan, e: Grid, seeds: tuple[int, ...], figures: Sequence[str]) -> None:
        self.plan, self.e, self.task, self.seeds = plan, e, e.task, seeds
        self.followed = any(FIGURES[figure].throughout for figure in figures)
        self.by_block = "instability_by_layer" in figures
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
        steps, kept = (self.task["steps"] - run.k) * len(members), self.kept(run)
        if kept:
            spec["keep"] = kept
        return self.plan.add("trace" if kept else "train", label, spec, parents, num_steps=steps, num_runs=len(members))

    def kept(self, run: Run) -> list[int]:
        """List the steps at which a run's states are kept: those of `throughout` after its start, and the last."""
        asked = self.e.throughout
        if not self.followed or asked is None or run.level or run.k not in asked["rewind"]:
            return []
        return sorted(
            {*range((run.k // asked["every"] + 1) * asked["every"], self.task["steps"], asked["every"]), self.task["steps"]}
        )

    def orders_apart(self, orders: Iterable[int]) -> list[tuple[int, ...]]:
        """Group orders into jobs; the ladder's own is always a job of its own."""
        first = self.e.orders[0]
        rest = sorted(set(orders) - {first})
        return [(first,), *chunks(rest, self.plan.config.per_job["orders"])]

    def compare(self, stage: str, run: Run, jobs: list[tuple[tuple[int, ...], Node]], **how: Any) -> list[Node]:
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
                spec |= how
                label = _label(self.who, f"k{run.k}", f"L{run.level}", "" if run.level == 0 else run.kind, _span("o", orders))
                parents = {"data": [self.data], "states": list(nodes)}
                made.append(self.plan.add(stage, label, spec, parents))
        return made

    def measure(self, run: Run, orders: Iterable[int]) -> dict[str, list[Node]]:
        """Train the given orders from one start, and compare them; nodes by the stage that a table is measured by."""
        jobs = [(group, self.train(run, group)) for group in self.orders_apart(orders)]
        e, kept = self.e, self.kept(run)
        how = {"alphas": e.alphas, "splits": list(e.splits), "batchnorm": list(e.batchnorm)}
        found = {"train": [node for _, node in jobs], "interpolate": self.compare("interpolate", run, jobs, **how)}
        if kept and e.throughout:
            found["follow"] = self.compare("follow", run, jobs, alphas=e.throughout["alphas"], keep=kept)
        if e.layerwise and self.by_block and not run.level:
            found["layers"] = self.compare("layers", run, jobs, alphas=e.alphas)
        return found


def _measure(plan: Plan, e: Grid, figures: Sequence[str]) -> dict[str, list[Node]]:
    """Add the training and measuring nodes of a task's part of an experiment, by stage; count what figures ask for one by one."""
    needed: set[Run] = set()
    for figure in figures:
        runs = with_ancestors(e, FIGURES[figure].runs(e))
        plan.asked["runs"] += len(runs) * len(e.seeds)
        plan.asked["steps"] += sum(e.task["steps"] - run.k for run in runs) * len(e.seeds)
        needed |= runs
    by_start: dict[tuple[str, int, int], set[int]] = {}
    for run in sorted(needed):
        by_start.setdefault((run.kind, run.k, run.level), set()).add(run.order)
    found: dict[str, list[Node]] = defaultdict(list)
    for seeds in chunks(e.seeds, plan.config.per_job["seeds"]):
        walk = _Walk(plan, e, seeds, figures)
        for (kind, k, level), orders in by_start.items():
            for stage, nodes in walk.measure(Run(kind, k, level, e.orders[0]), orders).items():
                found[stage] += nodes
    return found


def _tables(plan: Plan, e: Experiment) -> dict[str, Node]:
    nodes: dict[str, dict[str, Node]] = defaultdict(dict)
    for grid in e.grids.values():
        for stage, found in _measure(plan, grid, e.figures).items():
            nodes[stage] |= {node.key: node for node in found}
    made: dict[str, Node] = {}
    for table, stage in TABLES.items():
        if nodes[stage]:
            made[table] = plan.add("tabulate", _label(e.name, table), {"table": table}, {"parts": list(nodes[stage].values())})
    sparse = {task: grid.sparse_level for task, grid in e.grids.items()}
    for table, sources in DERIVED.items():
        if all(source in made for source in sources):
            spec: dict[str, Any] = {"table": table}
            if table == "networks":
                pruning = {task: "one-shot" if grid.pruning.get("one_shot") else "iterative" for task, grid in e.grids.items()}
                spec |= {"tasks": {n: grid.task for n, grid in e.grids.items()}, "sparse_levels": sparse, "pruning": pruning}
            made[table] = plan.add("derive", _label(e.name, table), spec, {source: [made[source]] for source in sources})
    if e.claims:
        spec = {"claims": [claims.to_dict(claim) for name in e.claims for claim in claims.load(CLAIMS / f"{name}.yaml")]}
        spec |= {"sparse_levels": sparse}
        made["claims"] = plan.add("judge", _label(e.name, "claims"), spec, {n: [node] for n, node in made.items() if n in TABLES})
    return made


def _add_experiment(plan: Plan, e: Experiment) -> None:
    made, figures = _tables(plan, e), {}
    sparse_levels = {task: grid.sparse_level for task, grid in e.grids.items()}
    for figure in e.figures:
        used = {table: [made[table]] for table in FIGURES[figure].tables if table in made}
        if len(used) == len(FIGURES[figure].tables):
            spec = {"figure": figure, "sparse_levels": sparse_levels if FIGURES[figure].sparse else {}}
            figures[figure] = plan.add("plot", _label(e.name, figure), spec, dict(used))
    plan.tables[e.name], plan.figures[e.name] = made, figures


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
