"""The claims of the papers, and those of paper A against what its experiment runs; paper C has a file of its own."""

from __future__ import annotations

import re
from itertools import combinations
from typing import Any

import made_up
import numpy as np
import pandas as pd
import pytest
import yaml

from pipeline_lib.analysis import early_steps
from pipeline_lib.claims import loading, verdicts, wording
from pipeline_lib.claims.loading import ANY, NONE, OWN, Claim
from pipeline_lib.claims.rules import RULES
from pipeline_lib.core import registry
from pipeline_lib.experiments import comparisons, config, starts
from pipeline_lib.experiments.experiment import Experiment
from pipeline_lib.experiments.figure_needs import FIGURES
from pipeline_lib.experiments.runs import Run, with_ancestors
from pipeline_lib.experiments.settings.options import Grid
from pipeline_lib.planning import declared, nodes, plan
from pipeline_lib.planning.keys.fingerprint import reached
from pipeline_lib.tables import tabulation

SEEDS = (0, 1, 2)
TASKS = ("resnet20", "vgg13")
PAPERS = {path.stem: loading.load(path) for path in sorted(config.CLAIMS.glob("*.yaml"))}


def test_the_claims_of_a_paper_are_about_its_settings():
    asked = {paper: {task for claim in found for task in claim.tasks} - {ANY, NONE, OWN} for paper, found in PAPERS.items()}
    assert asked["A"] == {"resnet20", "resnet56", "resnet18", "vgg13", "wrn16_8"}
    assert asked["B"] == {
        "lenet_mnist", "resnet20", "resnet20_low", "resnet20_warmup", "vgg16", "vgg16_low", "vgg16_warmup",
        "resnet50_imagenet", "inception_imagenet",
    }  # fmt: skip
    assert asked["C"] == {"resnet20", "resnet18_cifar100", "resnet50_imagenet_short"}
    assert set.union(*asked.values()) <= {path.stem for path in config.TASKS.glob("*.yaml")}


def test_every_measure_and_rule_is_used_by_a_claim():
    every = [claim for found in PAPERS.values() for claim in found]
    assert {claim.measure["name"] for claim in every} == set(registry.entries("measures"))
    assert {claim.rule["name"] for claim in every} == set(RULES)


@pytest.mark.parametrize("paper", PAPERS)
def test_every_claim_is_one_sentence_that_no_other_repeats_and_says_where_it_is_from(paper):
    for claim in PAPERS[paper]:
        assert claim.text.endswith(".")
        assert ". " not in claim.text
        assert claim.source.startswith(f"paper {paper}, ")
        assert re.fullmatch(r"[a-z0-9_]+", claim.id)
    asked = [(claim.measure, claim.rule, claim.tasks) for claim in PAPERS[paper]]
    assert all(asked.count(each) == 1 for each in asked)
    texts = [claim.text for claim in PAPERS[paper]]
    assert len(set(texts)) == len(texts)


def test_steps_of_imagenet_are_whole_epochs():
    epochs = {number for claim in PAPERS["B"] if "resnet50_imagenet" in claim.tasks for number in claim.measure.values()
              if isinstance(number, int) and not isinstance(number, bool) and number > 30}  # fmt: skip
    assert epochs == {18 * 1251, 4 * 1251}


@pytest.mark.parametrize("paper", PAPERS)
def test_without_tables_no_claim_is_measured(paper):
    found = PAPERS[paper]
    tasks = {task for claim in found for task in claim.tasks} - {ANY, NONE, OWN}
    rows = verdicts.judge(found, {}, {task: wording.roles((0, 1, 2), (), 9, 3) for task in tasks})
    assert {row["verdict"] for row in rows} == {"not measured"}
    assert all(row["needs"] for row in rows)
    assert tabulation.to_arrow(rows, declared.COLUMNS["claims"]).num_rows == len(rows)


def test_verdicts_depend_on_the_measures_that_their_claims_name():
    found = {paper: {"claims": [loading.to_dict(claim) for claim in each]} for paper, each in PAPERS.items()}
    named = {paper: nodes.named_functions("judge", spec) for paper, spec in found.items()}
    modules = {paper: {at.module for at in reached("judge", each)} for paper, each in named.items()}
    assert {
        "pipeline_lib.claims.measures.telemetry",
        "pipeline_lib.claims.measures._paired",
        "pipeline_lib.claims.verdicts",
    } <= modules["A"]
    assert {"pipeline_lib.claims.measures.stability", "pipeline_lib.claims.verdicts"} <= modules["B"]
    assert {
        "pipeline_lib.claims.measures.limits",
        "pipeline_lib.claims.measures._barriers",
        "pipeline_lib.claims.measures.margins",
    } <= modules["C"]
    assert not {"pipeline_lib.claims.measures.telemetry", "pipeline_lib.claims.measures.margins"} & modules["B"]
    assert not {"pipeline_lib.claims.measures.limits", "pipeline_lib.claims.measures._barriers"} & (modules["A"] | modules["B"])


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    raw = yaml.safe_load((config.ROOT / "config" / "experiments" / "early_phase.yaml").read_text(encoding="utf-8"))
    return config.resolve({**raw, "results": "results"}).experiments["early_phase"]


@pytest.fixture(scope="module")
def paper_a() -> list[Claim]:
    return loading.load(config.CLAIMS / "A.yaml")


def _texts(measure: dict[str, Any]) -> list[str]:
    """All starts that a measure names, or makes of the changes and pretexts that it names."""
    steps = [measure[key] for key in ("k", "later") if key in measure]
    changes = [measure[key] for key in ("change", "reference") if key in measure and measure[key] != "none"]
    pretexts = [f"k0 | {measure['pretext']} for {epochs}ep" for epochs in measure.get("durations", ())]
    plain = [measure[key] for key in ("start", "against", "reference") if re.match(r"k\d", measure.get(key, ""))]
    return plain + pretexts + [f"k{k} | {change}" for k in steps for change in changes]


@pytest.mark.parametrize("paper", PAPERS)
def test_starts_are_worded_as_tables_word_them(paper):
    words = wording.roles((0, 500, 2000), (), 12, 6)
    words |= wording.lesson_roles(500, tuple(comparisons.PRETEXTS), ("2ep", "40ep"))
    named = [(claim, {*claim.tasks} - {ANY, NONE, OWN} or {"resnet20"}) for claim in PAPERS[paper]]
    asked = {(task, text) for claim, names in named for task in names for text in _texts(wording.settled(claim.measure, words))}
    tasks = {task: config.load_task(task) for task in sorted({task for task, _ in asked})}
    for task, text in sorted(asked):
        assert starts.parse(text, tasks[task]).text == text


def _rows(grid: Grid, run: Run, rng: np.random.Generator) -> list[dict[str, Any]]:
    task = grid.task
    who = {"task": task["name"], "noise_order": run.order, "kind": run.kind, "k": run.k, "start": run.start.text}
    who |= {"level": run.level, "density": 0.8**run.level, "num_params": 7, "num_kept": 5, "steps": task["steps"]}
    worst = 0.3 if "(" in run.start.text else 0.2  # whatever is changed does harm
    return [who | {"seed": seed, "test_error": rng.uniform(worst - 0.1, worst)} for seed in SEEDS]


def _telemetry(grid: Grid) -> list[dict[str, Any]]:
    asked = grid.telemetry
    assert asked
    logged = set(early_steps.logged_steps(asked.steps))
    evaluated = early_steps.evaluated_steps(until=asked.steps, every=asked.evaluate_every)
    rows = []
    for seed in SEEDS:
        for step in sorted(logged | set(evaluated)):
            value = (1 + step) ** 0.5 * (1 + seed / 10)
            row: dict[str, Any] = dict.fromkeys(("mean_magnitude", "gradient_norm", "l2_initial", "cosine_initial"), value)
            row |= {"signs_changed": value / 100, "test_error": 1 - value / 100 if step in evaluated else None}
            rows.append({"task": grid.task["name"], "seed": seed, "step": step, **row})
    return rows


def _signs(grid: Grid) -> list[dict[str, Any]]:
    who = {"task": grid.task["name"], "changed": 0.1}
    scopes = [("all", 0), *((f"k{k}", grid.sparse_level) for k in grid.rewind)]
    return [
        who | {"seed": seed, "step_1": first, "step_2": second, "scope": scope, "level": level}
        for seed in SEEDS
        for first, second in combinations(sorted({0, *grid.rewind}), 2)
        for scope, level in scopes
    ]


def _sizes(grid: Grid, runs: set[Run], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Perturbed starts of the level of figure 8."""
    made = [run for run in runs if run.level == grid.sparse_level and "(" in run.start.text and " for " not in run.start.text]
    return [
        {"task": grid.task["name"], "seed": seed, "kind": run.kind, "start": run.start.text, "k": run.k, "level": run.level}
        | {"layer": "all", "mean": 0.001, "deviation": rng.uniform(0.01, 0.1)}
        for run in sorted(made)
        for seed in SEEDS
    ]


def _curvature(grid: Grid) -> list[dict[str, Any]]:
    who = {"task": grid.task["name"], "kind": "dense", "level": 0, "top": 9.0, "bottom": -1.0, "overlap": 0.5}
    assert grid.curvature
    return [who | {"seed": seed, "k": 0, "step": step} for seed in SEEDS for step in grid.curvature.steps]


@pytest.fixture(scope="module")
def frames(experiment) -> dict[str, pd.DataFrame]:
    rng, rows = np.random.default_rng(0), dict[str, list[dict[str, Any]]]()
    for grid in (experiment.grids[task] for task in TASKS):
        runs = set[Run]().union(*(with_ancestors(grid, FIGURES[figure].runs(grid)) for figure in experiment.figures))
        found = {
            "runs": [row for run in sorted(runs) for row in _rows(grid, run, rng)],
            "telemetry": _telemetry(grid),
            "signs": _signs(grid),
            "perturbations": _sizes(grid, runs, rng),
            "curvature": _curvature(grid),
        }
        for name, more in found.items():
            rows.setdefault(name, []).extend(more)
    made = made_up.divided({name: made_up.table(found) for name, found in rows.items()})
    levels = {task: experiment.grids[task].sparse_level for task in TASKS}
    spec = {"tasks": {task: experiment.grids[task].task for task in TASKS}, "sparse_levels": levels}
    spec["pruning"] = dict.fromkeys(TASKS, "iterative")
    for name in ("networks", "correlations", "timeline"):
        made[name] = pd.DataFrame(registry.entries("derived")[name].load()(made, spec))
    return made


def test_the_experiment_of_the_paper_measures_every_claim(experiment, paper_a, frames):
    grids = {task: experiment.grids[task] for task in TASKS}
    roles = {task: plan.roles(g) for task, g in grids.items()}
    rows = [row for row in verdicts.judge(paper_a, frames, roles) if row["setting"] in TASKS]
    assert [(row["claim"], row["setting"], row["needs"]) for row in rows if row["verdict"] == "not measured"] == []
    assert len(rows) == sum(task in claim.tasks for claim in paper_a for task in TASKS)
    assert {row["verdict"] for row in rows} == {"holds", "fails", "undecided"}


def test_the_five_networks_of_the_paper_are_run(experiment, paper_a):
    assert {task for claim in paper_a for task in claim.tasks} - {OWN} == set(experiment.grids)
    assert experiment.claims == ("A",)
    assert all(grid.seeds == (0, 1, 2, 3, 4) for grid in experiment.grids.values())
