"""What the stages that train have in common."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import torch
from torch import nn

from pipeline_lib import registry, schedules
from pipeline_lib.batches import batches
from pipeline_lib.evaluate import Score, evaluate
from pipeline_lib.job import log
from pipeline_lib.train import train
from pipeline_lib.types import Dataset, Mask, Monitor, Progress, State

LOG_SECONDS = 5.0


class Reporter:
    """Logs a line every few seconds; every so many steps it evaluates the test split and adds to the curve."""

    def __init__(self, who: str, network: nn.Sequential, dataset: Dataset, until: int, evaluate_every: int) -> None:
        self._who, self._network, self._dataset = who, network, dataset
        self._until, self._evaluate_every = until, evaluate_every
        self._begun = self._logged = time.monotonic()
        self._first: int | None = None
        self._loss, self._wrong, self._steps, self._seen = torch.zeros(()), torch.zeros(()), 0, 0
        self.curve: list[dict[str, Any]] = []

    def __call__(self, progress: Progress) -> None:
        """Take one report of the training loop."""
        self._loss += progress.loss
        self._wrong += (progress.logits.argmax(1) != progress.y).sum()
        self._steps, self._seen = self._steps + 1, self._seen + len(progress.y)
        if self._first is None:
            self._first = progress.step
        if time.monotonic() - self._logged >= LOG_SECONDS:
            self._log(progress.step)
        if self._evaluate_every and (progress.step % self._evaluate_every == 0 or progress.step == self._until):
            self._record(progress)

    def _batch_score(self) -> Score:
        return Score(float(self._wrong) / self._seen, float(self._loss) / self._steps)

    def _log(self, step: int) -> None:
        score, self._logged = self._batch_score(), time.monotonic()
        speed = (step - (self._first or 0)) / (self._logged - self._begun)
        left = (self._until - step) / max(speed, 1e-9)
        text = "%s step %d/%d loss %.4f batch accuracy %.1f %% %.0f steps/s, %.0f s left"
        log.info(text, self._who, step, self._until, score.loss, 100 * (1 - score.error), speed, left)

    def _record(self, progress: Progress) -> None:
        score = evaluate(self._network, progress.state(), self._dataset.test, self._dataset)
        self._network.train()
        for split, each in (("batch", self._batch_score()), ("test", score)):
            self.curve.append({"step": progress.step, "split": split, "error": each.error, "loss": each.loss})
        self._loss, self._wrong, self._steps, self._seen = torch.zeros(()), torch.zeros(()), 0, 0


def train_member(
    task: dict[str, Any],
    network: nn.Sequential,
    dataset: Dataset,
    start: State,
    mask: Mask | None,
    order: tuple[int, int],
    until: int,
    monitor: Monitor,
) -> State:
    """Train one member of a cohort by its task's recipe."""
    make = partial(registry.call, "optim", task["optimiser"])
    schedule: schedules.Schedule = registry.call("schedules", task["schedule"])
    stream = batches(dataset, order, task["batch_size"], task["pad"])
    return train(network, start, mask, stream, lambda vector: make(vector=vector), schedule, until, monitor)
