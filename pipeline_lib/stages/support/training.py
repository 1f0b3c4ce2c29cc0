"""What the stages that train have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pipeline_lib.core import algebra, registry
from pipeline_lib.core.pace import Pace
from pipeline_lib.core.types import Dataset, Mask, Progress, Schedule, State
from pipeline_lib.pretexts.support.lessons import Lesson
from pipeline_lib.pretexts.support.streams import stream
from pipeline_lib.store import artifacts, specs
from pipeline_lib.store.job import Job, log
from pipeline_lib.store.resumption import Keeper, Saved
from pipeline_lib.training import optimiser_state
from pipeline_lib.training.evaluation import evaluate
from pipeline_lib.training.loop import Member, Recipe, Trained, train
from pipeline_lib.training.precision import Numerics


@dataclass(frozen=True)
class Run:
    """One run of a cohort: where it starts, what it may change, and its order (seed, order)."""

    start: State
    mask: Mask | None
    order: tuple[int, int]


@dataclass(frozen=True)
class Setting:
    """What the runs of a cohort share.

    Args:
        task: full description.
        network: template.
        dataset: on the device that is trained on.
        until: the step that runs go to.
        evaluate_every: steps between evaluations for the learning curve; 0 for none.
        keep: steps at which states are written to files of the job's folder.
        job: the job, for its folder and spec.
        lessons: what alters the data.
        reporter: makes what watches a run, if not a plain `Reporter`.
    """

    task: specs.Dynamics
    network: nn.Sequential
    dataset: Dataset
    until: int
    evaluate_every: int = 0
    keep: frozenset[int] = frozenset()
    job: Job[Any] | None = None
    lessons: tuple[Lesson, ...] = ()
    reporter: Callable[[Setting, Run, list[dict[str, Any]]], Reporter] | None = None

    @property
    def numerics(self) -> Numerics:
        """The task's precision and memory layout."""
        return numerics(self.task)

    @property
    def device(self) -> torch.device:
        """Where the data are."""
        return self.dataset.train.y.device


def numerics(task: specs.MeasuredTask) -> Numerics:
    """Read a task's precision and memory layout."""
    return Numerics(task["precision"], task["channels_last"])


def kept_file(folder: Path, order: tuple[int, int], step: int) -> Path:
    """Name the file of a member's state at a kept step."""
    return folder / f"kept-s{order[0]}-o{order[1]}-{step}.safetensors"


class Reporter:
    """Logs a line every few seconds, evaluates the test split every so many steps for the curve, and keeps states."""

    def __init__(self, setting: Setting, run: Run, rows: list[dict[str, Any]]) -> None:
        self._setting, self._order, self._who = setting, run.order, f"seed {run.order[0]} order {run.order[1]}"
        self._pace: Pace | None = None
        self._rows = list(rows)

    def rows(self) -> list[dict[str, Any]]:
        """Give all that was recorded, as JSON."""
        return self._rows

    def __call__(self, progress: Progress) -> None:
        """Take one report of the training loop."""
        self._pace = self._pace or Pace(self._setting.until, progress.step)
        if self._pace.due(progress.step):
            self._log(progress, self._pace)
        every = self._setting.evaluate_every
        if every and (progress.step % every == 0 or progress.step == self._setting.until):
            self._record(progress)
        if progress.step in self._setting.keep and self._setting.job:
            job, state = self._setting.job, progress.state()
            meta = job.meta(params=list(state.params))
            artifacts.write_states(kept_file(job.folder, self._order, progress.step), [state], meta)

    def _log(self, progress: Progress, pace: Pace) -> None:
        loss, _, seen, _ = progress.sums.get()
        text = "%s step %d/%d loss %.4f %.1f steps/s, %.0f s left"
        told = {"who": self._who, "pace": pace, "loss": loss / seen, "rows": self._rows}
        log.info(
            *(text, self._who, progress.step, self._setting.until, loss / seen, pace.speed, pace.left),
            extra=told | {"job": self._setting.job and self._setting.job.folder},
        )

    def _record(self, progress: Progress) -> None:
        s = self._setting
        score = evaluate(s.network, progress.state(), s.dataset.test, s.dataset, s.numerics)
        s.network.train()
        batch_loss, batch_error = progress.sums.take()
        for split, error, loss in (("batch", batch_error, batch_loss), ("test", score.error, score.loss)):
            self._rows.append({"step": progress.step, "split": split, "error": error, "loss": loss})


def _recipe(setting: Setting) -> Recipe:
    make = partial(registry.call, "optimisers", setting.task["optimiser"])
    schedule: Schedule = registry.call("schedules", setting.task["schedule"])
    return Recipe(lambda vector: make(vector=vector), schedule, setting.numerics)


def _prepare(setting: Setting, run: Run, saved: Saved | None, i: int, keeper: Keeper | None) -> tuple[Member, Reporter]:
    """Put one run on the device, at its start or where an earlier try was stopped."""
    task = setting.task
    how = (task["batch_size"], task["pad"], task["flip"], task["channels_last"])
    batches = stream(setting.dataset, run.order, *how, setting.lessons)
    reporter = (setting.reporter or Reporter)(setting, run, saved.curve if saved else [])

    def monitor(progress: Progress) -> None:
        reporter(progress)
        if keeper:
            keeper.report(i, progress, reporter.rows)

    start = algebra.moved(saved.state if saved else run.start, setting.device)
    return Member(start, run.mask, batches, monitor, saved.sums if saved else None), reporter


@dataclass(frozen=True)
class Cohort:
    """The runs that one job trains.

    Args:
        setting: what they share.
        runs: what tells them apart.
        keeper: where to go on from, and keeps them while they train.
    """

    setting: Setting
    runs: list[Run]
    keeper: Keeper | None = None


Result = tuple[Trained, list[dict[str, Any]]]  # what a run came to, and its learning curve


def _train(places: Sequence[tuple[Cohort, int]]) -> list[Result]:
    """Train runs of cohorts by number; where the device's memory is too small for all of them, in two halves."""
    if not places:
        return []
    ready = [_prepare(c.setting, c.runs[i], c.keeper.members.get(i) if c.keeper else None, i, c.keeper) for c, i in places]
    setting = places[0][0].setting
    try:
        done = train(setting.network, [member for member, _ in ready], _recipe(setting), setting.until)
        return [(trained, reporter.rows()) for (_, reporter), trained in zip(ready, done, strict=True)]
    except torch.OutOfMemoryError as error:
        if len(places) == 1:
            name, words = setting.task["name"], str(error).splitlines()[0]
            raise ValueError(f"one run of {name} must fit into the GPU's memory, got: {words}; lower batch_size") from None
    # Outside the handler: its traceback would keep what the failed try had allocated.
    del ready
    if setting.device.type == "cuda":
        torch.cuda.synchronize()  # what other queues still write into is free already
        torch.cuda.empty_cache()
    halves = places[: len(places) // 2], places[len(places) // 2 :]
    log.info("out of memory with %d runs side by side: going on with %d, then %d", len(places), len(halves[0]), len(halves[1]))
    return [result for half in halves for result in _train(half)]


def _on_cpu(run: Run, until: int, result: Result) -> Result:
    """Bring a result to the CPU; a diverged run's state is its start."""
    trained, curve = result
    diverged = trained.last_finite is not None
    cpu = torch.device("cpu")
    state = State(run.start.params, run.start.buffers, until) if diverged else algebra.moved(trained.state, cpu)
    return Trained(state, trained.last_finite), curve


def train_cohorts(cohorts: Sequence[Cohort]) -> list[list[Result]]:
    """Train the runs of cohorts of one task, to one step and on one device, side by side where that is a GPU.

    Returns:
        For each run of each cohort its result, on the CPU, and its learning curve. A diverged run's state is its start.

    Raises:
        ValueError: not even one run fits into the GPU's memory.
    """
    for cohort in cohorts:
        if cohort.keeper:
            made = optimiser_state.slots(_recipe(cohort.setting).make_optimiser)
            cohort.keeper.check([run.start for run in cohort.runs], made)
    results = iter(_train([(cohort, i) for cohort in cohorts for i in range(len(cohort.runs))]))
    return [[_on_cpu(run, cohort.setting.until, next(results)) for run in cohort.runs] for cohort in cohorts]


def train_cohort(setting: Setting, runs: list[Run], keeper: Keeper | None = None) -> list[Result]:
    """Train the runs of one cohort by their task's recipe; see `Cohort` and `train_cohorts`."""
    return train_cohorts([Cohort(setting, runs, keeper)])[0]
