"""What a run makes of a plan when part of it is asked for."""

from __future__ import annotations

import pytest
import toys
import yaml

from pipeline_lib.commands import running
from pipeline_lib.commands.support import requests
from pipeline_lib.planning import nodes


@pytest.fixture(scope="module")
def made() -> nodes.Plan:
    raw = toys.raw_config(figures=["paths_dense", "instability_dense"], levels=0)
    raw["experiments"]["other"] = raw["experiments"]["tiny"] | {"figures": ["paths_dense"]}
    return toys.make_plan(raw)


def test_without_a_choice_no_file_is_named_and_all_is_made(made):
    assert running._targets(made, None) == []


def test_a_figure_is_that_of_every_experiment(made):
    both = [f"results/{name}/figures/paths_dense.svg" for name in ("tiny", "other")]
    assert running._targets(made, "paths_dense") == both
    assert running._targets(made, "instability_dense") == ["results/tiny/figures/instability_dense.svg"]


def test_a_figure_that_there_is_not_is_refused(made):
    with pytest.raises(ValueError, match="figure must be one of instability_dense, paths_dense, got 'paths_dens'; did you mean"):
        running._targets(made, "paths_dens")


def test_a_request_for_one_experiment_is_the_same_for_plan_run_and_words(tmp_path):
    file, raw = tmp_path / "own.yaml", toys.raw_config(figures=["paths_dense"], levels=0)
    raw["experiments"]["other"] = raw["experiments"]["tiny"] | {"rewind": [0, 2]}
    file.write_text(yaml.safe_dump(raw))
    asked = requests.Request([file], (), ("other.seeds=1",), "other")
    assert list(asked.plan().figures) == ["other"]
    assert asked.words() == [str(file), "--set", "other.seeds=1", "--experiment", "other"]
    assert set(asked.plan().nodes) < set(requests.Request([file], (), ("other.seeds=1",)).plan().nodes), "keys are as they were"
