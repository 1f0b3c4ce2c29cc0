"""Measure a task's speed for an estimate: not a stage, makes no artifact."""

from __future__ import annotations

import time
from pathlib import Path

from pipeline_lib.core import registry
from pipeline_lib.core.rng import torch_generator
from pipeline_lib.core.types import Split
from pipeline_lib.stages.support import data
from pipeline_lib.stages.support.training import Run, Setting, train_cohort
from pipeline_lib.store import specs
from pipeline_lib.training.evaluation import evaluate

_STEPS, _SECONDS = 20, 5.0  # so many steps, or about so long if that is less
_IMAGES = 1000  # evaluated, of each split


def calibrate(task: specs.Dynamics, data_root: Path | None) -> tuple[float, float]:
    """Time a few training steps and the evaluation of a part of both splits, on the CPU.

    Returns:
        Seconds a training step, and seconds a point of an interpolation on one split (an upper bound: paths share work).
    """
    dataset = registry.call("datasets", task["dataset"], data_root=data_root)
    network = data.build(task, dataset)
    start = registry.call("initialisers", task["initialisation"], network=network, generator=torch_generator("calibrate"))
    before = time.perf_counter()
    state = train_cohort(Setting(task, network, dataset, 2), [Run(start, None, (0, 0))])[0][0].state
    begun = time.perf_counter()
    steps = max(2, min(_STEPS, int(2 * _SECONDS / (begun - before))))
    setting = Setting(task, network, dataset, 2 + steps)
    train_cohort(setting, [Run(state, None, (0, 0))])
    trained = time.perf_counter()
    few = [Split(split.x[:_IMAGES], split.y[:_IMAGES]) for split in (dataset.train, dataset.test)]
    for split in few:
        evaluate(network, state, split, dataset, setting.numerics)
    image = (time.perf_counter() - trained) / sum(len(split.y) for split in few)
    return (trained - begun) / steps, image * (len(dataset.train.y) + len(dataset.test.y)) / 2
