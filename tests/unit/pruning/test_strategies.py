from __future__ import annotations

import pytest
import toys

from pipeline_lib.core import registry
from pipeline_lib.experiments import config
from pipeline_lib.pruning.strategies.fine_tuning import fine_tuning
from pipeline_lib.pruning.strategies.rewinding import lr_rewinding, weight_rewinding

TASK = config.resolve(toys.raw_config()).experiments["tiny"].grids["toy"].task


def test_rewinding_keeps_the_recipe():
    assert weight_rewinding().recipe(TASK) == TASK
    assert lr_rewinding().recipe(TASK) == TASK


def test_fine_tuning_lowers_the_rate_and_drops_schedule_and_weight_decay():
    optimiser = {"name": "sgd", "lr": 0.4, "momentum": 0.9, "weight_decay": 1e-4}
    task = TASK | {"optimiser": optimiser, "schedule": {"name": "step_drops", "drops": [3], "factor": 10.0, "warmup": 2}}
    tuned = fine_tuning(0.05).recipe(task)
    assert tuned["optimiser"] == optimiser | {"lr": pytest.approx(0.02), "weight_decay": 0.0}
    assert {registry.call("schedules", tuned["schedule"])(step) for step in range(10)} == {1.0}
    assert {key: tuned[key] for key in tuned if key not in ("optimiser", "schedule")} == {
        key: task[key] for key in task if key not in ("optimiser", "schedule")
    }


def test_fine_tuning_goes_without_weight_decay_where_the_optimiser_has_none():
    assert "weight_decay" not in fine_tuning().recipe(TASK | {"optimiser": {"name": "adam", "lr": 1.0}})["optimiser"]
