from __future__ import annotations

import re

import pytest
import yaml

from pipeline_lib.experiments import config
from pipeline_lib.planning import driver, plan

PAGE = (config.ROOT / "docs" / "papers" / "mode_connectivity.md").read_text(encoding="utf-8")
COUNTED = re.findall(r"^\| `(\w+)` \|.* ([\d,]+) (?:training )?runs \|", PAGE, flags=re.MULTILINE)


def test_the_page_counts_the_runs_of_every_experiment_of_its_paper():
    assert len(COUNTED) == 3


@pytest.mark.parametrize(("name", "runs"), COUNTED)
def test_the_page_counts_runs_as_the_plan_does(name, runs):
    raw = yaml.safe_load((config.ROOT / "config" / "experiments" / f"{name}.yaml").read_text(encoding="utf-8"))
    assert sum(node.num_runs for node in plan.make_plan(config.resolve(raw)).nodes.values()) == int(runs.replace(",", ""))


@pytest.mark.parametrize("name", ["tenth", "cifar_small"])
def test_a_config_says_what_it_plans(name):
    path = config.ROOT / "config" / "experiments" / f"{name}.yaml"
    made = driver.load([path], {"results": "results"}).nodes.values()
    (told,) = re.findall(r"Planned: ([\d,]+) runs, ([\d,]+) steps", path.read_text(encoding="utf-8"))
    assert told == (f"{sum(node.num_runs for node in made):,}", f"{sum(node.num_steps for node in made):,}")


def test_a_tenth_is_the_papers_recipe_with_all_lengths_scaled():
    """Steps and drops, counted by hand: 62,400 steps with drops after 80 and 120 epochs of 390."""
    whole, tenth = config.load_task("resnet20"), config.load_task("resnet20_tenth")
    assert {key for key in whole if whole[key] != tenth[key]} == {"name", "schedule", "steps", "evaluate_every"}
    assert (tenth["steps"], tenth["schedule"]["drops"]) == (6240, [3120, 4680])
