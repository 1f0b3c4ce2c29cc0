"""What measuring claims takes that were not measured."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import toys

from pipeline_lib.claims import loading, verdicts
from pipeline_lib.experiments import config
from pipeline_lib.planning import claims_cost, estimate
from pipeline_lib.planning.claims_cost import Costs
from pipeline_lib.store import artifacts


def _lost(needs: str | None, family: str = "paper B") -> dict[str, Any]:
    return {"experiment": "mine", "family": family, "verdict": "not measured", "needs": needs}


@pytest.mark.parametrize("more", [{"controls": ["random_prune"]}, {"perturbed": [2]}], ids=str)
def test_runs_and_steps_are_those_of_the_plan(tmp_path, more):
    made = toys.make_plan(toys.raw_config(tmp_path, **more))
    e = made.config.experiments["tiny"]
    found = estimate.summary(made)
    assert claims_cost.trained(e.grids["toy"], e.figures) == (found["runs"]["shared"], found["steps"]["shared"])


@pytest.mark.parametrize("paper", ["A", "B", "C"])
def test_each_task_that_a_paper_names_has_a_config_and_a_cost(tmp_path, paper):
    costs = Costs(tmp_path)
    named = verdicts.named_tasks(loading.load(config.CLAIMS / f"{paper}.yaml"))[f"paper {paper}"]
    assert named
    for task in named:
        found = costs.of(_lost(f"task {task}", f"paper {paper}"))
        assert found is not None, task
        assert found.steps > found.runs > 0
        assert str(found) == f"{found.runs:,} runs, {found.steps:,} steps, unknown hours"


def test_hours_follow_from_records_of_the_same_speed(tmp_path):
    task = config.load_task("lenet_mnist")
    folder = tmp_path / "artifacts" / "train" / "x-0123456789ab"
    artifacts.write_text(folder / "spec.json", json.dumps({"spec": {"task": task, "k": 0, "members": [[0, 0]]}}))
    artifacts.write_text(tmp_path / "benchmarks" / "train" / f"{folder.name}.tsv", f"s\n{task['steps'] / 100}\n")
    found, other = (Costs(tmp_path).of(_lost(f"task {name}")) for name in ("lenet_mnist", "vgg16"))
    assert found is not None
    assert found.hours == pytest.approx(found.steps / 100 / 3600)
    assert str(found).endswith(f"{found.hours:,.1f} h of training")
    assert other is not None
    assert math.isnan(other.hours)


def test_needs_are_counted_and_name_the_command_that_tells_the_rest(tmp_path):
    costs = Costs(tmp_path)
    measured = {"experiment": "mine", "family": "paper B", "verdict": "holds", "needs": None}
    needs = ["17 levels", "task vgg16", "task vgg16", "table planes", "task vgg16"]
    found = claims_cost.rows([measured, *map(_lost, needs), _lost("task vgg16", "paper X")], costs)
    told = {(row["paper"], row["needs"]): (row["claims"], row["told_by"]) for row in found}
    assert told == {
        ("paper B", "task vgg16"): (3, "rewind plan config/experiments/mode_connectivity.yaml --calibrate"),
        ("paper B", "17 levels"): (1, "rewind plan CONFIG --set mine.levels=17"),
        ("paper B", "table planes"): (1, "rewind plan CONFIG that has it"),
        ("paper X", "task vgg16"): (1, "rewind plan CONFIG that has it"),
    }
    assert (found[0]["runs"] or 0) > 0
    assert found[-1]["runs"] is None
    assert claims_cost.rows([measured], costs) == []
