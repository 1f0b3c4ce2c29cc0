"""The plan: from a config to the Merkle DAG of artifacts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pipeline_lib.claims import verdicts
from pipeline_lib.core import registry
from pipeline_lib.experiments import starts
from pipeline_lib.experiments.config import CLAIMS, chunks
from pipeline_lib.experiments.experiment import Config, Experiment
from pipeline_lib.experiments.figure_needs import FIGURES
from pipeline_lib.experiments.runs import Run, with_ancestors
from pipeline_lib.experiments.settings.options import Grid
from pipeline_lib.planning.declared import COLUMNS, DERIVED, TABLES
from pipeline_lib.planning.measurement_nodes import MeasurementNodes
from pipeline_lib.planning.nodes import Node, Plan
from pipeline_lib.planning.training_nodes import TrainingNodes, label
from pipeline_lib.tables import columns


def _measure(plan: Plan, e: Grid, figures: Sequence[str]) -> dict[str, list[Node]]:
    """Add the training and measuring nodes of a task's part of an experiment, by stage; count what figures ask for one by one."""
    needed: set[Run] = set()
    sized: set[Run] = set()
    for figure in figures:
        runs = with_ancestors(e, FIGURES[figure].runs(e))
        plan.asked["runs"] += len(runs) * len(e.seeds)
        begun = (starts.parse(run.start, e.task).step() if run.start else run.k for run in runs)
        plan.asked["steps"] += sum(e.task["steps"] - step for step in begun) * len(e.seeds)
        needed |= runs
        sized |= FIGURES[figure].sizes(e)
    by_start: dict[Run, set[int]] = {}
    for run in sorted(needed):
        by_start.setdefault(replace(run, order=e.orders[0]), set()).add(run.order)
    found: dict[str, list[Node]] = defaultdict(list)
    for seeds in chunks(e.seeds, e.per_job.seeds):
        training = TrainingNodes(plan, e, seeds, figures)
        for run, orders in by_start.items():
            for stage, nodes in training.measure(run, orders).items():
                found[stage] += nodes
        for run in sorted(sized):
            training.start(run)
        for stage, nodes in MeasurementNodes(training).measure(figures).items():
            found[stage] += nodes
        found["perturb"] += training.sizes.values()
        found["adapt"] += training.ratios.values()
    return found


def _lessons(e: Grid) -> list[str]:
    """Word what networks learn first as tables word it."""
    asked = e.pretraining
    texts = [f"k0 | {pretext} for {asked.durations[0]}" for pretext in asked.pretexts] if asked else []
    return [str(starts.parse(text, e.task).parts["pretext"]) for text in texts]


# What a derived table's or a figure's spec may ask for, by name.
_FACTS: dict[str, Callable[[Experiment], dict[str, Any]]] = {
    "tasks": lambda e: {task: grid.task for task, grid in e.grids.items()},
    "sparse_levels": lambda e: {task: grid.sparse_level for task, grid in e.grids.items()},
    "pruning": lambda e: {task: "one-shot" if grid.pruning.one_shot else "iterative" for task, grid in e.grids.items()},
    "fit_levels": lambda e: {task: grid.limits.fit_level for task, grid in e.grids.items() if grid.limits},
    "references": lambda e: {task: grid.pretraining.reference for task, grid in e.grids.items() if grid.pretraining},
    "lessons": lambda e: {task: _lessons(grid) for task, grid in e.grids.items() if grid.pretraining},
    "regressions": lambda e: {task: grid.limits.regression for task, grid in e.grids.items() if grid.limits},
    "tolerances": lambda e: {task: grid.limits.tolerance for task, grid in e.grids.items() if grid.limits},
    "fit_fractions": lambda e: {task: list(grid.limits.small_fractions) for task, grid in e.grids.items() if grid.limits},
}


def _facts(e: Experiment, table: str, names: Sequence[str]) -> dict[str, Any]:
    for name in names:
        if name not in _FACTS:
            raise registry.unknown(f"what {table} asks for", name, list(_FACTS), "add a function to planning/plan.py")
    return {name: _FACTS[name](e) for name in names}


def _starts(nodes: Sequence[Node], e: Grid) -> dict[str, Any]:
    """Take apart the starts whose rows nodes measure, each once."""
    texts: set[str] = set()
    for spec in (node.spec for node in nodes):
        whose = [spec, *spec.get("pairs", []), *spec.get("solutions", [])]
        texts |= {each["start"] for each in whose if isinstance(each, Mapping) and "start" in each}
    return {text: starts.parse(text, e.task).parts for text in texts}


def _tables(plan: Plan, e: Experiment) -> dict[str, Node]:
    nodes: dict[str, dict[str, Node]] = defaultdict(dict)
    parts: dict[str, dict[str, Any]] = defaultdict(dict)
    for grid in e.grids.values():
        for stage, found in _measure(plan, grid, e.figures).items():
            nodes[stage] |= {node.key: node for node in found}
            parts[stage] |= _starts(found, grid)
    made: dict[str, Node] = {}

    def add(stage: str, table: str, parents: Mapping[str, Sequence[Node]], **more: Any) -> None:
        spec = {"experiment": e.name, "table": table, "columns": columns.spelled(COLUMNS[table]), **more}
        made[table] = plan.add(stage, label(e.name, table), spec, parents)

    for table, stage in TABLES.items():
        if nodes[stage]:
            has_start = any(column.name == "start" for column in COLUMNS[table])
            taken_apart = {"starts": dict(sorted(parts[stage].items()))} if has_start else {}
            add("tabulate", table, {"parts": list(nodes[stage].values())}, **taken_apart)
    for table, derived in DERIVED.items():
        if all(source in made for source in derived.sources):
            sources = [source for source in (*derived.sources, *derived.optional) if source in made]
            add("derive", table, {source: [made[source]] for source in sources}, **_facts(e, table, derived.asks))
    if e.claims:
        claims = [verdicts.to_dict(claim) for name in e.claims for claim in verdicts.load(CLAIMS / f"{name}.yaml")]
        parents = {table: [node] for table, node in made.items()}
        add("judge", "claims", parents, claims=claims, sparse_levels=_FACTS["sparse_levels"](e))
    return made


def _add_experiment(plan: Plan, e: Experiment) -> None:
    made, figures = _tables(plan, e), {}
    sparse_levels = _FACTS["sparse_levels"](e)
    for figure in e.figures:
        used = {table: [made[table]] for table in FIGURES[figure].tables if table in made}
        if len(used) == len(FIGURES[figure].tables):
            spec = {"experiment": e.name, "figure": figure, "sparse_levels": sparse_levels if FIGURES[figure].sparse else {}}
            asks = _facts(e, figure, FIGURES[figure].asks)
            spec |= {"told": asks} if asks else {}
            figures[figure] = plan.add("plot", label(e.name, figure), spec, dict(used))
    plan.tables[e.name], plan.figures[e.name] = made, figures


def make_plan(config: Config) -> Plan:
    """Expand a config to its plan; equal artifacts of different experiments are one node.

    Args:
        config: checked and complete.

    Returns:
        The plan; nothing is read or written.
    """
    plan = Plan(config)
    for e in config.experiments.values():
        _add_experiment(plan, e)
    return plan
