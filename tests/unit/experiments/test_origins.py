"""The complete config: it asks for the same plan, and says where each value comes from."""

from __future__ import annotations

from pathlib import Path

import pytest
import toys
import yaml

from pipeline_lib.experiments import config, config_files, origins, overrides
from pipeline_lib.planning import plan

CONFIGS = [
    config.ROOT / "config" / name for name in ("config.yaml", "experiments/digits.yaml", "experiments/unmasking_small.yaml")
]
CONFIGS.append(config.ROOT / "config" / "experiments" / "early_phase_small.yaml")


def _told(path: Path, configs=(), sets=()) -> str:
    given = overrides.read([path], configs, sets)
    layers = overrides.layers([path], configs, sets)
    return origins.report(
        config_files.read([path], given), [*layers.items(), (f"file:{path.name}", config_files.read_yaml(path))]
    )


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_the_complete_config_asks_for_the_same_plan(path):
    again = config.resolve(yaml.safe_load(_told(path)))
    assert plan.make_plan(again).identity() == plan.make_plan(config_files.read([path])).identity()


@pytest.fixture
def file(tmp_path):
    raw = toys.raw_config(tmp_path / "results")
    raw["experiments"]["tiny"]["tasks"] = {"toy": {"levels": 1}, "lenet_mnist": {}}
    raw["tasks"]["sister"] = {"base": "toy", "steps": 4}
    written = tmp_path / "config.yaml"
    written.write_text(yaml.safe_dump(raw))
    return written


def _lines(text: str) -> dict[str, str]:
    """By place of each value, its origin."""
    found, trail = {}, []
    for line in text.splitlines():
        name, _, value = line.strip().partition(":")
        trail[(len(line) - len(line.lstrip())) // 2 :] = [name]
        if value:
            found[".".join(trail)] = line.rpartition("  # ")[2]
    return found


def test_each_value_has_its_origin(file):
    sets = ["tiny.seeds=1", "tiny.tasks.lenet_mnist.levels=3", "tiny.tasks.sister.orders=1"]
    sets += ["sister.optimiser={name: decoupled_sgd, lr: 0.1}"]
    found = _lines(_told(file, ["data_root=/data", "experiments={tiny: {tasks: {sister: {}}}}"], sets))
    grid, task = "experiments.tiny.tasks", "tasks"
    assert found["data_root"] == "--config"
    assert found["results"] == "file:config.yaml"
    assert found["environment"] == "default"
    assert found[f"{grid}.toy.seeds"] == "--set"
    assert found[f"{grid}.toy.levels"] == "file:config.yaml"
    assert found[f"{grid}.lenet_mnist.levels"] == "--set"
    assert found[f"{grid}.sister.orders"] == "--set"
    assert found[f"{grid}.toy.pruning.fraction"] == "default"
    assert found[f"{task}.lenet_mnist.batch_size"] == "file:config/tasks/lenet_mnist.yaml"
    assert found[f"{task}.lenet_mnist.pad"] == "default"
    assert found[f"{task}.sister.batch_size"] == "file:config.yaml", "of its base"
    assert found[f"{task}.sister.optimiser.name"] == "--set"
    assert found[f"{task}.sister.optimiser.momentum"] == "default", "another optimiser brings its own options"
