"""The plan: from a config to the Merkle DAG of artifacts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pipeline_lib.claims import verdicts
from pipeline_lib.experiments import starts
from pipeline_lib.experiments.config import CLAIMS, chunks
from pipeline_lib.experiments.experiment import Config, Experiment
from pipeline_lib.experiments.figure_needs import FIGURES
from pipeline_lib.experiments.runs import Run, with_ancestors
from pipeline_lib.experiments.settings.options import Grid
from pipeline_lib.planning.measurement_nodes import MeasurementNodes
from pipeline_lib.planning.nodes import DERIVED, TABLES, Node, Plan
from pipeline_lib.planning.training_nodes import TrainingNodes, label


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
    if e.asks("lemma") and "lemma" in figures:
        found["wells"].append(plan.add("wells", "wells", e.asked["lemma"], {}))
    return found


def _tables(plan: Plan, e: Experiment) -> dict[str, Node]:
    nodes: dict[str, dict[str, Node]] = defaultdict(dict)
    for grid in e.grids.values():
        for stage, found in _measure(plan, grid, e.figures).items():
            nodes[stage] |= {node.key: node for node in found}
    made: dict[str, Node] = {}
    whose = {"experiment": e.name}
    for table, stage in TABLES.items():
        if nodes[stage]:
            made[table] = plan.add(
                "tabulate", label(e.name, table), whose | {"table": table}, {"parts": list(nodes[stage].values())}
            )
    sparse = {task: grid.sparse_level for task, grid in e.grids.items()}
    for table, (required, optional) in DERIVED.items():
        if all(source in made for source in required):
            sources = [*required, *(source for source in optional if source in made)]
            spec: dict[str, Any] = whose | {"table": table}
            if table == "fits":
                asked = {task: grid.limits for task, grid in e.grids.items() if grid.limits}
                spec |= {"fit_levels": {task: limits.fit_level for task, limits in asked.items()}}
                spec |= {"fit_fractions": {task: list(limits.small_fractions) for task, limits in asked.items()}}
            if table == "networks":
                pruning = {task: "one-shot" if grid.pruning.one_shot else "iterative" for task, grid in e.grids.items()}
                spec |= {"tasks": {n: grid.task for n, grid in e.grids.items()}, "sparse_levels": sparse, "pruning": pruning}
            made[table] = plan.add("derive", label(e.name, table), spec, {source: [made[source]] for source in sources})
    if e.claims:
        spec = {"claims": [verdicts.to_dict(claim) for name in e.claims for claim in verdicts.load(CLAIMS / f"{name}.yaml")]}
        spec |= whose | {"sparse_levels": sparse}
        made["claims"] = plan.add("judge", label(e.name, "claims"), spec, {n: [node] for n, node in made.items()})
    return made


def _add_experiment(plan: Plan, e: Experiment) -> None:
    made, figures = _tables(plan, e), {}
    sparse_levels = {task: grid.sparse_level for task, grid in e.grids.items()}
    for figure in e.figures:
        used = {table: [made[table]] for table in FIGURES[figure].tables if table in made}
        if len(used) == len(FIGURES[figure].tables):
            spec = {"experiment": e.name, "figure": figure, "sparse_levels": sparse_levels if FIGURES[figure].sparse else {}}
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
