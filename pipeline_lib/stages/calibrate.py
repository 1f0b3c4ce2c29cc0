"""Measure a task's speed for an estimate: not a stage, makes no artifact."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from pipeline_lib import registry
from pipeline_lib.evaluate import evaluate
from pipeline_lib.initialise import initialise
from pipeline_lib.rng import torch_generator
from pipeline_lib.stages import data
from pipeline_lib.stages.training import Reporter, train_member

_STEPS = 30


def calibrate(task: dict[str, Any], data_root: Path | None) -> tuple[float, float]:
    """Time a few training steps and one evaluation of both splits.

    Returns:
        Seconds a training step, and seconds a point of an interpolation on one split (an upper bound: paths share work).
    """
    dataset = registry.call("datasets", task["dataset"], data_root=data_root)
    network = data.build(task, dataset)
    state = initialise(network, torch_generator("calibrate"))
    reporter = Reporter("calibration", network, dataset, 2 * _STEPS, 0)
    state = train_member(task, network, dataset, state, None, (0, 0), _STEPS, reporter)
    begun = time.perf_counter()
    state = train_member(task, network, dataset, state, None, (0, 0), 2 * _STEPS, reporter)
    trained = time.perf_counter()
    for split in (dataset.train, dataset.test):
        evaluate(network, state, split, dataset)
    return (trained - begun) / _STEPS, (time.perf_counter() - trained) / 2
