"""Overrides of a command line: which place in the config a dotted name speaks of."""

from __future__ import annotations

import pytest
import toys
import yaml

from pipeline_lib.experiments import config_files, overrides


@pytest.fixture
def file(tmp_path):
    written = tmp_path / "config.yaml"
    raw = toys.raw_config(tmp_path / "results", tasks=["toy", "other"])
    raw["tasks"]["other"] = toys.task()
    raw["tasks"]["tiny"] = toys.task()  # an experiment's name, too
    written.write_text(yaml.safe_dump(raw))
    return written


PLACES = {
    "results=/scratch/r": {"results": "/scratch/r"},
    "per_job.seeds=2": {"per_job": {"seeds": 2}},
    "tiny.levels=3": {"experiments": {"tiny": {"levels": 3}}},
    "tiny.rewind=[0, 4]": {"experiments": {"tiny": {"rewind": [0, 4]}}},
    "tiny.pruning.fraction=0.5": {"experiments": {"tiny": {"pruning": {"fraction": 0.5}}}},
    "tiny.tasks=[toy]": {"experiments": {"tiny": {"tasks": ["toy"]}}},
    "tiny.tasks.toy.levels=3": {"experiments": {"tiny": {"tasks": {"toy": {"levels": 3}, "other": {}}}}},
    "toy.optimiser.lr=0.01": {"tasks": {"toy": {"optimiser": {"lr": 0.01}}}},
    "tiny.steps=4": {"tasks": {"tiny": {"steps": 4}}},
    "lenet_mnist.steps=4ep": {"tasks": {"lenet_mnist": {"steps": "4ep"}}},
    "experiments.tiny.levels=3": {"experiments": {"tiny": {"levels": 3}}},
    "experiments.tiny.tasks.toy.levels=3": {"experiments": {"tiny": {"tasks": {"toy": {"levels": 3}, "other": {}}}}},
    "tasks.toy.steps=4": {"tasks": {"toy": {"steps": 4}}},
}


@pytest.mark.parametrize("text", PLACES)
def test_a_dotted_name_is_a_place_in_the_config(file, text):
    assert overrides.read([file], sets=[text]) == PLACES[text]


def test_later_ones_win_and_the_dotted_ones_win_over_the_others(file):
    configs = ["experiments={tiny: {levels: 1, seeds: 5}}", "experiments={tiny: {seeds: 4}}"]
    found = overrides.read([file], configs, ["tiny.levels=2", "tiny.levels=3"])
    assert found == {"experiments": {"tiny": {"levels": 3, "seeds": 4}}}


def test_what_is_said_of_two_tasks_of_an_experiment_is_joined(file):
    given = overrides.read([file], sets=["tiny.tasks.toy.levels=1", "tiny.tasks.other.levels=0"])
    grids = config_files.read([file], given).experiments["tiny"].grids
    assert {name: grid.levels for name, grid in grids.items()} == {"toy": 1, "other": 0}


@pytest.mark.parametrize(
    ("text", "error"),
    {
        "tiny.level=3": r"key of tiny must be one of .*got 'level'; did you mean 'levels'\?",
        "toy.step=3": r"key of toy must be one of .*got 'step'; did you mean 'steps'\?",
        "tinny.levels=3": r"experiment or task must be one of .*got 'tinny'; did you mean 'tiny'\?",
        "result=r": r"key at the top of a config must be one of .*got 'result'; did you mean 'results'\?",
        "tiny.tasks.tox.levels=3": r"key of tiny.tasks must be one of other, toy, got 'tox'; did you mean 'toy'\?",
        "tiny.levels": r"--set must be NAME.KEY=VALUE, got 'tiny.levels'; write the value as YAML",
        "tiny.levels=[": "--set tiny.levels must be YAML",
    }.items(),
)
def test_a_wrong_name_is_refused_with_the_nearest_valid_one(file, text, error):
    with pytest.raises(ValueError, match=error):
        overrides.read([file], sets=[text])
