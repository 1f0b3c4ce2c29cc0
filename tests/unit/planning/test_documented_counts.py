from __future__ import annotations

import re

import pytest
import yaml

from pipeline_lib.experiments import config
from pipeline_lib.planning import plan

PAGE = (config.ROOT / "docs" / "papers" / "mode_connectivity.md").read_text(encoding="utf-8")
COUNTED = re.findall(r"^\| `(\w+)` \|.* ([\d,]+) (?:training )?runs \|", PAGE, flags=re.MULTILINE)


def test_the_page_counts_the_runs_of_every_experiment_of_its_paper():
    assert len(COUNTED) == 3


@pytest.mark.parametrize(("name", "runs"), COUNTED)
def test_the_page_counts_runs_as_the_plan_does(name, runs):
    raw = yaml.safe_load((config.ROOT / "config" / "experiments" / f"{name}.yaml").read_text(encoding="utf-8"))
    assert sum(node.num_runs for node in plan.make_plan(config.resolve(raw)).nodes.values()) == int(runs.replace(",", ""))
