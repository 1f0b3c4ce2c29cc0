"""What a figure is told of tasks goes by their titles."""

from __future__ import annotations

import pandas as pd

from pipeline_lib.stages.results import plot

TITLES = {"resnet20": "ResNet-20, CIFAR-10"}


def test_tasks_are_called_by_their_titles_in_tables_and_in_facts():
    runs = pd.DataFrame({"task": ["resnet20", "other"], "level": [0, 1]})
    assert plot._titled(runs, TITLES)["task"].tolist() == ["ResNet-20, CIFAR-10", "other"]
    assert plot._titled(runs[:0], TITLES).columns.tolist() == ["task", "level"]
    assert plot._renamed({"resnet20": 3, "other": 1}, TITLES) == {"ResNet-20, CIFAR-10": 3, "other": 1}


def test_claims_about_a_task_name_it_and_others_stay():
    claims = pd.DataFrame({"setting": ["resnet20", "all tasks"], "verdict": "holds"})
    assert plot._titled(claims, TITLES)["setting"].tolist() == ["ResNet-20, CIFAR-10", "all tasks"]


def test_tables_without_tasks_are_left_alone():
    wells = pd.DataFrame({"dimension": [10]})
    assert plot._titled(wells, TITLES).equals(wells)
