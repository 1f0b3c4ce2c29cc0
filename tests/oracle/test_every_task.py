"""Every task of the project takes a few steps by its own recipe, on made-up images of its shape."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import toys

from pipeline_lib.core import registry
from pipeline_lib.core.parameters import prunable
from pipeline_lib.core.rng import torch_generator
from pipeline_lib.experiments import config
from pipeline_lib.planning.task_list import examples
from pipeline_lib.stages.support import data
from pipeline_lib.stages.support.training import Run, Setting, train_cohort


def _like(dataset: dict[str, Any], num: int = 8) -> toys.Dataset:
    shape, num_classes = examples(dataset)
    data = toys.dataset(num, 4, shape)
    return replace(data, num_classes=num_classes)


@pytest.mark.parametrize("name", [name for name in config.task_files() if "imagenet" not in name])
def test_every_task_trains_prunes_and_evaluates(name):
    """A few steps of the task's own recipe in small batches of made-up images of its shape."""
    task = config.load_task(name) | {"batch_size": 4}
    dataset = _like(task["dataset"])
    network = data.build(task, dataset)
    start = registry.call("initialisers", task["initialisation"], network=network, generator=torch_generator("try", name))
    rng = np.random.default_rng(0)
    mask = {n: rng.random(network.get_parameter(n).shape) < 0.5 for n in prunable(network)}
    setting = Setting(task, network, dataset, 3, evaluate_every=3)
    (trained, curve), *_ = train_cohort(setting, [Run(toys.masked(start, mask), mask, (0, 0))])
    assert trained.last_finite is None
    assert [point["step"] for point in curve] == [3, 3]
    moved = [n for n in start.params if not torch.equal(trained.state.params[n] != 0, start.params[n] != 0)]
    assert any(not torch.equal(trained.state.params[n], start.params[n]) for n in mask)
    assert all(not torch.count_nonzero(trained.state.params[n][torch.from_numpy(~keep)]) for n, keep in mask.items()), moved
