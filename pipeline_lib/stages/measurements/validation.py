"""W_0 -> dense training without some of the training images, and test errors at the step that these would choose."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from pipeline_lib.core.rng import torch_generator
from pipeline_lib.core.types import Progress, Split
from pipeline_lib.stages.support import data
from pipeline_lib.stages.support.training import Reporter, Run, Setting, numerics, train_cohort
from pipeline_lib.store import artifacts, device, resumption, specs
from pipeline_lib.store.job import Job
from pipeline_lib.training.evaluation import evaluate

STAGE = {
    "validation": {
        "group": "measurements",
        "needs": "W_0",
        "makes": "errors during training on held-out training images and on the test split",
        "cluster": {"minutes": 240, "megabytes": 8000},
        "rate": "training",
        "size": ["task.steps", "seeds"],
        "tables": {
            "validation": {
                "of": ["the run, without its weights"],
                "columns": [
                    "task", "seed", "step",
                    ["validation_error", "double", "1", "share of wrong predictions on the held-out training images"],
                    "test_error",
                    ["chosen", "bool", "-", "first step of the run with its lowest validation error; none of a diverged run"],
                ],
            },
        },
    }
}  # fmt: skip
SETTINGS = {
    "validation": {
        "about": "dense runs without some of the training images, which choose the best step",
        "examples": {"default": 5000, "unit": "images", "rule": "Examples", "meaning": "training images that are held out"},
    }
}  # fmt: skip


class Spec(specs.Training, specs.Seeds):
    """Dense runs from W_0; `order` is of the batches, `examples` are held out, the same of all seeds."""

    order: int
    examples: int


class Validator(Reporter):
    """Evaluates held-out images and the test split where a plain reporter evaluates the test split."""

    def __init__(self, held: Split, setting: Setting, run: Run, rows: list[dict[str, Any]]) -> None:
        super().__init__(setting, run, rows)
        self._held = held

    def _record(self, progress: Progress) -> None:
        s, state = self._setting, progress.state()
        held, test = (evaluate(s.network, state, part, s.dataset, s.numerics) for part in (self._held, s.dataset.test))
        s.network.train()
        self._rows.append({"step": progress.step, "validation_error": held.error, "test_error": test.error})


def divided(train: Split, examples: int, batch_size: int) -> tuple[Split, Split]:
    """Divide a training split at random into what is trained on, and what is held out.

    Raises:
        ValueError: less than a batch would be left, or the images are in files.
    """
    if not isinstance(train.x, Tensor):
        raise ValueError("validation must be of a data set in memory, got a folder of images; leave validation out")
    if len(train.y) - examples < batch_size:
        rule = f"validation.examples must be at most {len(train.y) - batch_size}, so that a batch is left"
        raise ValueError(f"{rule}, got {examples}; lower it")
    order = torch.randperm(len(train.y), generator=torch_generator("validation", examples)).to(train.y.device)
    held, rest = order[:examples].sort().values, order[examples:].sort().values
    return Split(train.x[rest], train.y[rest]), Split(train.x[held], train.y[held])


def _chosen(rows: list[dict[str, Any]], lost: bool) -> list[dict[str, Any]]:
    best = None if lost or not rows else min(rows, key=lambda row: row["validation_error"])["step"]
    return [row | {"chosen": row["step"] == best} for row in rows]


def run(job: Job[Spec]) -> None:
    """Train a chunk of seeds from W_0 to the end."""
    spec, task = job.spec, job.spec["task"]
    dataset = data.read(job, device.pick(numerics(task)))
    rest, held = divided(dataset.train, spec["examples"], task["batch_size"])
    dataset = replace(dataset, train=rest)
    network, reporter = data.build(task, dataset), partial(Validator, held)
    setting = Setting(task, network, dataset, task["steps"], task["evaluate_every"], job=job, reporter=reporter)
    starts, _ = artifacts.read_states(job.file("start", "state.safetensors"))
    runs = [Run(start, None, (seed, spec["order"])) for seed, start in zip(spec["seeds"], starts, strict=True)]
    rows: list[dict[str, Any]] = []
    with resumption.kept(job, task["steps"]) as keeper:
        for own, (result, seen) in zip(runs, train_cohort(setting, runs, keeper), strict=True):
            who = {"task": task["name"], "seed": own.order[0]}
            rows += [who | row for row in _chosen(seen, result.last_finite is not None)]
        artifacts.write_rows(job.folder / "validation.parquet", rows)
