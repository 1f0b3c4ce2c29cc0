"""The plan: from a config to the Merkle DAG of artifacts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from pipeline_lib.claims import loading, wording
from pipeline_lib.core import registry
from pipeline_lib.core.definitions import chance
from pipeline_lib.experiments import starts
from pipeline_lib.experiments.config import CLAIMS, chunks
from pipeline_lib.experiments.experiment import Config, Experiment
from pipeline_lib.experiments.figure_needs import FIGURES
from pipeline_lib.experiments.runs import Run, with_ancestors
from pipeline_lib.experiments.settings.options import Grid
from pipeline_lib.planning import named_stages as stages
from pipeline_lib.planning.declared import COLUMNS, DERIVED, TABLES
from pipeline_lib.planning.expansion import run_nodes
from pipeline_lib.planning.expansion.labels import label
from pipeline_lib.planning.expansion.measurement_nodes import MeasurementNodes
from pipeline_lib.planning.expansion.training_nodes import TrainingNodes
from pipeline_lib.planning.nodes import Node, Plan
from pipeline_lib.planning.task_list import examples
from pipeline_lib.tables import columns

if TYPE_CHECKING:
    from pipeline_lib.stages.results.derive import Facts
    from pipeline_lib.store import specs


MOST_PARTS = 300  # that one job reads for a table


def _measure(plan: Plan, e: Grid, figures: Sequence[str]) -> Iterator[dict[str, list[Node]]]:
    """Add the training and measuring nodes of a task's part of an experiment: a chunk of seeds at a time, by stage.

    Counts what figures ask for one by one.
    """
    needed: set[Run] = set()
    sized: set[Run] = set()
    for figure in figures:
        runs = with_ancestors(e, FIGURES[figure].runs(e))
        plan.asked["runs"] += len(runs) * len(e.seeds)
        plan.asked["steps"] += sum(e.task["steps"] - run.start.step() for run in runs) * len(e.seeds)
        needed |= runs
        sized |= FIGURES[figure].sizes(e)
    by_start: dict[Run, set[int]] = {}
    for run in sorted(needed):
        by_start.setdefault(replace(run, order=e.orders[0]), set()).add(run.order)
    trainings = [TrainingNodes(plan, e, seeds) for seeds in chunks(e.seeds, e.per_job.seeds)]
    for training in trainings:
        found: dict[str, list[Node]] = defaultdict(list)
        measured = run_nodes.RunNodes(training, figures)
        for run, orders in by_start.items():
            for stage, nodes in measured.measure(run, orders).items():
                found[stage] += nodes
        for run in sorted(sized):
            training.start(run)
        for stage, nodes in MeasurementNodes(training).measure(figures).items():
            found[stage] += nodes
        found["perturb"] += training.sizes.values()
        found["adapt"] += training.ratios.values()
        found["bring"] += training.brought.values()
        yield found
    found = defaultdict(list)
    for run in by_start if run_nodes.aligns(e, figures, "across") else ():
        for node in run_nodes.across(trainings, run) if run_nodes.is_aligned(e, run) else ():
            found[node.stage].append(node)
    yield found


def _lessons(e: Grid) -> list[str]:
    """Word what networks learn first as tables word it."""
    asked = e.pretraining
    texts = [f"k0 | {pretext} for {asked.durations[0]}" for pretext in asked.pretexts] if asked else []
    return [str(starts.parse(text, e.task).parts["pretext"]) for text in texts]


def _facts(e: Experiment) -> Facts:
    """Say what a derived table's or a figure's spec may ask for, by name."""
    limits = {task: grid.limits for task, grid in e.grids.items() if grid.limits}
    return {
        "tasks": {task: cast("specs.Task", grid.task) for task, grid in e.grids.items()},
        "sparse_levels": _sparse_levels(e),
        "pruning": {task: "one-shot" if grid.pruning.one_shot else "iterative" for task, grid in e.grids.items()},
        "fit_levels": {task: asked.fit_level for task, asked in limits.items()},
        "fit_fractions": {task: list(asked.small_fractions) for task, asked in limits.items()},
        "regressions": {task: asked.regression for task, asked in limits.items()},
        "tolerances": {task: asked.tolerance for task, asked in limits.items()},
        "references": {task: grid.pretraining.reference for task, grid in e.grids.items() if grid.pretraining},
        "lessons": {task: _lessons(grid) for task, grid in e.grids.items() if grid.pretraining},
    }


def _sparse_levels(e: Experiment) -> dict[str, int]:
    return {task: grid.sparse_level for task, grid in e.grids.items()}


def roles(grid: Grid) -> dict[str, Any]:
    """Say what the words of claims stand for on a task."""
    found = wording.roles(grid.rewind, grid.perturbed, grid.levels, grid.sparse_level)
    asked = grid.pretraining
    if asked is None:
        return found
    lengths = [
        starts.parse(f"k0 | {asked.pretexts[0]} for {each}", grid.task).parts["pretext_length"] for each in asked.durations
    ]
    durations = [str(each).removeprefix("for ") for each in lengths]
    return found | wording.lesson_roles(asked.reference, _lessons(grid), durations)


def _seeds(e: Experiment) -> dict[str, list[int]]:
    return {task: list(grid.seeds) for task, grid in e.grids.items()}


def _asked(said: Facts, table: str, names: Sequence[str]) -> Facts:
    facts: Mapping[str, Any] = said
    for name in names:
        if name not in facts:
            raise registry.unknown(f"what table {table} asks for", name, list(facts), "add it to planning/plan.py")
    return cast("Facts", {name: facts[name] for name in names})


def _starts(nodes: Sequence[Node], e: Grid) -> dict[str, Any]:
    """Take apart the starts whose rows nodes measure, each once."""
    texts: set[str] = set()
    for spec in (node.spec for node in nodes):
        whose = [spec, *spec.get("pairs", []), *spec.get("solutions", [])]
        texts |= {each["start"] for each in whose if isinstance(each, Mapping) and "start" in each}
    return {text: starts.parse(text, e.task, own=e.own).parts for text in texts}


def _table(e: Experiment, table: str) -> specs.Table:
    return {"experiment": e.name, "table": table, "columns": columns.spelled(COLUMNS[table])}


def _gathered(plan: Plan, e: Experiment, table: str, groups: Sequence[Sequence[Node]]) -> list[Node]:
    """Give the parts of a table; where they are many, joined by task and seeds, so that a further seed reads no other's files."""
    parts = {node.key: node for group in groups for node in group}
    if len(parts) <= MOST_PARTS:
        return list(parts.values())
    joined = []
    for group in groups:
        own = [parts.pop(node.key) for node in group if node.key in parts]
        for begin in range(0, len(own), MOST_PARTS):
            spec: stages.tabulate.Spec = {**_table(e, table), "partial": True}
            read = {"parts": own[begin : begin + MOST_PARTS]}
            joined.append(plan.add(stages.tabulate, label(e.name, table, "part"), spec, read))
    return joined


def _tables(plan: Plan, e: Experiment) -> dict[str, Node]:
    groups: dict[str, list[list[Node]]] = defaultdict(list)
    parts: dict[str, dict[str, Any]] = defaultdict(dict)
    for grid in e.grids.values():
        for measured in _measure(plan, grid, e.figures):
            for stage, found in measured.items():
                groups[stage].append(found)
                parts[stage] |= _starts(found, grid)
    made: dict[str, Node] = {}
    for table, stage in TABLES.items():
        if any(groups[stage]):
            has = {column.name for column in COLUMNS[table]}
            tabulated: stages.tabulate.Spec = {**_table(e, table), "partial": False}
            if "start" in has:
                tabulated["starts"] = dict(sorted(parts[stage].items()))
            if "headroom" in has:
                tabulated["chance"] = {task: chance(examples(grid.task["dataset"])[1]) for task, grid in e.grids.items()}
            read = {"parts": _gathered(plan, e, table, groups[stage])}
            made[table] = plan.add(stages.tabulate, label(e.name, table), tabulated, read)
    facts = _facts(e)
    for table, derived in DERIVED.items():
        if all(source in made for source in derived.sources):
            spec: stages.derive.Spec = {**_table(e, table), **_asked(facts, table, derived.asks)}
            read = {source: [made[source]] for source in (*derived.sources, *derived.optional) if source in made}
            made[table] = plan.add(stages.derive, label(e.name, table), spec, read)
    if e.claims:
        claims = [loading.to_dict(claim) for name in e.claims for claim in loading.load(CLAIMS / f"{name}.yaml")]
        judged: stages.judge.Spec = {
            **_table(e, "claims"),
            "claims": claims,
            "roles": {task: roles(grid) for task, grid in e.grids.items()},
            "seeds": _seeds(e),
        }
        read = {table: [node] for table, node in made.items()}
        made["claims"] = plan.add(stages.judge, label(e.name, "claims"), judged, read)
    return made


def _add_experiment(plan: Plan, e: Experiment) -> None:
    made, figures = _tables(plan, e), {}
    for figure in e.figures:
        used = {table: [made[table]] for table in FIGURES[figure].tables if table in made}
        if len(used) == len(FIGURES[figure].tables):
            sparse_levels = _sparse_levels(e) if FIGURES[figure].sparse else {}
            about = {column.name for table in used for column in COLUMNS[table]}
            titles = {task: grid.title for task, grid in e.grids.items()} if about & {*columns.OF_TASKS} else {}
            spec: stages.plot.Spec = {"experiment": e.name, "figure": figure, "sparse_levels": sparse_levels, "titles": titles}
            if FIGURES[figure].asks:
                spec["told"] = _asked(_facts(e), figure, FIGURES[figure].asks)
            figures[figure] = plan.add(stages.plot, label(e.name, figure), spec, used)
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
