"""Complete made-up tables of every shipped experiment that asks for paper B's claims decide all claims about its tasks."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import made_up
import pandas as pd
import pytest
import yaml

from pipeline_lib.claims import loading, verdicts
from pipeline_lib.core import registry
from pipeline_lib.experiments import config
from pipeline_lib.experiments.experiment import Experiment
from pipeline_lib.experiments.figure_needs import FIGURES
from pipeline_lib.experiments.runs import Run, with_ancestors
from pipeline_lib.experiments.settings.options import Grid
from pipeline_lib.planning import plan
from pipeline_lib.tables import tabulation

CLAIMS = loading.load(config.CLAIMS / "B.yaml")
# Networks whose sparse selves are stable from the first rewind step on, as the paper has it.
AT_START = {task for claim in CLAIMS if claim.id.startswith("stable_at_start") for task in claim.tasks}
# Tasks about which an experiment cannot decide claims, whatever it measures, and why.
OUT_OF_REACH: dict[str, dict[str, str]] = {
    "mode_connectivity": {},
    "mode_connectivity_imagenet": {},
    "mode_connectivity_small": {"resnet20_short": "one seed, no controls"},
    "mode_connectivity_tenth": {},
}
FILES = {"mode_connectivity_tenth": "tenth"}  # where a file has several experiments


def _experiment(name: str) -> Experiment:
    raw = yaml.safe_load((config.ROOT / "config" / "experiments" / f"{FILES.get(name, name)}.yaml").read_text(encoding="utf-8"))
    return config.resolve({**raw, "results": "results"}).experiments[name]


def _late(grid: Grid, k: int) -> float:
    """From 0 at the first rewind step to 1 at the last."""
    return grid.rewind.index(k) / (len(grid.rewind) - 1)


def _run(grid: Grid, run: Run, seed: int) -> dict[str, Any]:
    """IMP matches from late steps down to the sparse level, and the controls do not; seeds and orders differ a little."""
    worse = 0.001 * run.level / max(grid.sparse_level, 1) + 0.05 * (run.level > 0) * (run.kind != "imp" or not _late(grid, run.k))
    worse += 0.05 * (run.level > grid.sparse_level)
    error = 0.1 + worse + 0.002 * seed + 0.0003 * run.order - 0.0005 * _late(grid, run.k)
    who = {"task": grid.task["name"], "seed": seed, "noise_order": run.order, "kind": run.kind, "k": run.k, "level": run.level}
    sizes = {"density": grid.pruning.density(run.level), "num_params": 7, "num_kept": 5, "steps": grid.task["steps"]}
    return who | sizes | {"change": "", "train_error": error / 2, "test_error": error}


def _pairs(grid: Grid, runs: set[Run], seed: int, rows: dict[str, list[dict[str, Any]]]) -> None:
    """Lines with a hump that shrinks with the rewind step, and distances that shrink with it."""
    for run in sorted(runs):
        for i, j in combinations(grid.orders, 2) if run.order == grid.orders[0] else ():
            who = {"task": grid.task["name"], "seed": seed, "order_1": i, "order_2": j, "kind": run.kind, "k": run.k}
            who |= {"level": run.level, "density": grid.pruning.density(run.level)}
            hump = (1 - _late(grid, run.k)) * (0.8 if run.kind != "imp" or not run.level else 0.7) + 0.001 * seed
            if who["task"] in AT_START and run.kind == "imp" and run.level:
                hump *= 0.02
            rows["distances"].append(who | {"l2_params": 10 * (1.2 - _late(grid, run.k)), "l2_weights": 9.0})
            for split in grid.splits:
                line = who | {"split": split, "batchnorm": "averaged"}
                ends = {"mean_end_error": 0.1, "max_error": 0.1 + hump, "instability": hump, "headroom": 0.8}
                rows["instability"].append(line | ends)
                alphas = [n / (grid.alphas - 1) for n in range(grid.alphas)]
                rows["interpolation"] += [line | {"alpha": a, "error": 0.1 + 4 * a * (1 - a) * hump} for a in alphas]


def _followed(grid: Grid, seed: int) -> list[dict[str, Any]]:
    asked, found = grid.throughout, list[dict[str, Any]]()
    for k in asked.rewind if asked else ():
        steps = [step for step in range(0, grid.task["steps"] + 1, asked.every if asked else 1) if step > k]
        for i, j in combinations(grid.orders, 2):
            who = {"task": grid.task["name"], "seed": seed, "order_1": i, "order_2": j, "kind": "imp", "k": k, "level": 0}
            for step in steps:
                grown = step / grid.task["steps"]
                values = {
                    "mean_end_error": 0.6 - 0.5 * grown,
                    "headroom": 0.8,
                    "instability": (0.5 - 0.4 * _late(grid, k)) * grown,
                }
                found.append(who | {"split": "test", "step": step} | values)
    return found


def _frames(e: Experiment) -> dict[str, pd.DataFrame]:
    rows: dict[str, list[dict[str, Any]]] = {
        name: [] for name in ("runs", "instability", "interpolation", "distances", "throughout")
    }
    for grid in e.grids.values():
        runs = set[Run]().union(*(with_ancestors(grid, FIGURES[figure].runs(grid)) for figure in e.figures))
        paired = {run for run in runs if replace(run, order=grid.orders[1]) in runs}
        for seed in grid.seeds:
            rows["runs"] += [_run(grid, run, seed) for run in sorted(runs)]
            rows["throughout"] += _followed(grid, seed)
            _pairs(grid, paired, seed, rows)
    frames = tabulation.divided({name: made_up.table(found) for name, found in rows.items() if found})
    spec = {
        "tasks": {task: grid.task for task, grid in e.grids.items()},
        "sparse_levels": {task: grid.sparse_level for task, grid in e.grids.items()},
        "pruning": {task: "one-shot" if grid.pruning.one_shot else "iterative" for task, grid in e.grids.items()},
    }
    for name in ("means", "onsets", "networks"):
        frames[name] = pd.DataFrame(registry.entries("derived")[name].load()(frames, spec))
    return frames


@pytest.mark.parametrize("name", OUT_OF_REACH)
def test_a_complete_run_decides_every_claim_about_its_tasks(name):
    e = _experiment(name)
    roles = {task: plan.roles(g) for task, g in e.grids.items()}
    seeds = {task: list(grid.seeds) for task, grid in e.grids.items()}
    rows = [row for row in verdicts.judge(CLAIMS, _frames(e), roles, seeds) if row["setting"] in e.grids]
    lacking = {(row["claim"], row["setting"]): row["needs"] for row in rows if row["verdict"] == "not measured"}
    assert {claim: needs for claim, needs in lacking.items() if claim[1] not in OUT_OF_REACH[name]} == {}
    assert {row["setting"] for row in rows if row["verdict"] != "not measured"} == set(e.grids) - set(OUT_OF_REACH[name])
