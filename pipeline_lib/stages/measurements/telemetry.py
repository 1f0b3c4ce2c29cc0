"""W_0 -> what the first steps of training look like, and how far they are from its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipeline_lib.analysis import early_steps
from pipeline_lib.analysis.early_steps import GRADIENT, WEIGHTS, Portrait, evaluated_steps, gradient_size, logged_steps
from pipeline_lib.core import algebra
from pipeline_lib.core.parameters import prunable
from pipeline_lib.core.rng import torch_generator
from pipeline_lib.core.types import Progress, State
from pipeline_lib.stages.support import data
from pipeline_lib.stages.support.training import Reporter, Run, Setting, numerics, train_cohort
from pipeline_lib.store import artifacts, device, resumption, specs
from pipeline_lib.store.job import Job
from pipeline_lib.training.evaluation import evaluate

STAGE = {
    "telemetry": {
        "group": "measurements",
        "needs": "W_0",
        "makes": "what the first steps of training look like",
        "cluster": {"minutes": 120, "megabytes": 8000},
        "rate": "training",
        "size": ["task.steps", "seeds"],
        "tables": {
            "telemetry": {
                "of": ["the run, without its weights"],
                "columns": [
                    "task", "seed", "step",
                    ["test_error", "double", "1", "share of wrong predictions on the test split; null if not evaluated"],
                    ["test_loss", "double", "nats", "mean cross-entropy on the test split; null if not evaluated"],
                    ["mean_magnitude", "double", "1", "mean absolute value of the prunable weights"],
                    ["signs_changed", "double", "1", "share of prunable weights whose sign is not that at step 0"],
                    ["gradient_norm", "double", "1", "L2 norm of the mini-batch gradient here: all parameters, no weight decay"],
                    ["gradient_mean", "double", "1", "mean absolute value of that gradient's entries"],
                    ["l2_initial", "double", "1", "L2 distance of the prunable weights to those at step 0"],
                    ["l2_final", "double", "1", "L2 distance of the prunable weights to those at the end of the run"],
                    ["cosine_initial", "double", "1", "cosine between the prunable weights and those at step 0"],
                    ["cosine_final", "double", "1", "cosine between the prunable weights and those at the end of the run"],
                    ["weight_0", "double", "1", "value of a prunable weight drawn once a seed"],
                    ["weight_1", "double", "1", "value of a prunable weight drawn once a seed"],
                    ["weight_2", "double", "1", "value of a prunable weight drawn once a seed"],
                    ["weight_3", "double", "1", "value of a prunable weight drawn once a seed"],
                    ["weight_4", "double", "1", "value of a prunable weight drawn once a seed"],
                    ["weight_5", "double", "1", "value of a prunable weight drawn once a seed"],
                    ["weight_6", "double", "1", "value of a prunable weight drawn once a seed"],
                    ["weight_7", "double", "1", "value of a prunable weight drawn once a seed"],
                    ["weight_8", "double", "1", "value of a prunable weight drawn once a seed"],
                    ["weight_9", "double", "1", "value of a prunable weight drawn once a seed"],
                ],
            },
        },
    }
}  # fmt: skip


class Spec(specs.Training, specs.Seeds):
    """Dense runs that are looked at closely.

    Args:
        order: of the batches, the same number for all seeds.
        steps: how many of the first are looked at.
        evaluate_every: steps between evaluations of the test split.
    """

    order: int
    steps: int
    evaluate_every: int


NUM_WEIGHTS = 10  # weights that are followed one by one (paper A, figure 3)
_HELD = 50  # descriptions that wait on the device before the host asks for them
_COLUMNS = (*WEIGHTS, *(f"weight_{i}" for i in range(NUM_WEIGHTS)))
_FINAL = ("l2_final", "cosine_final")


def _snapshot(job: Job[Spec], seed: int, step: int) -> Path:
    return job.folder / f".snapshot-s{seed}-{step}.safetensors"


class Watcher(Reporter):
    """Describes a run at the logged steps. A description waits on the device; half-precision weights go to the job's folder."""

    def __init__(self, setting: Setting, run: Run, rows: list[dict[str, Any]]) -> None:
        super().__init__(setting, run, rows)
        assert setting.job is not None
        spec = setting.job.spec
        self._job, self._seed, self._names = setting.job, run.order[0], prunable(setting.network)
        self._logged, self._evaluated = (
            set(logged_steps(spec["steps"])),
            set(evaluated_steps(spec["steps"], spec["evaluate_every"])),
        )
        self._held: list[tuple[int, tuple[str, ...], Tensor, Tensor | None]] = []
        total = sum(run.start.params[name].numel() for name in self._names)
        chosen = torch.randint(total, (NUM_WEIGHTS,), generator=torch_generator("followed weights", self._seed))
        # Resumed runs too: the job's start is W_0.
        initial = algebra.moved(run.start, setting.device)
        self._portrait = Portrait(initial.params, self._names, chosen)
        if not rows:
            self._describe(initial.step, initial)

    def _describe(self, step: int, state: State) -> None:
        if step in self._logged:
            weights = early_steps.flattened(state.params, self._names).half()
            self._held.append((step, _COLUMNS, self._portrait.weights(state.params), weights))
        if step in self._evaluated:
            s = self._setting
            score = evaluate(s.network, state, s.dataset.test, s.dataset, s.numerics)
            s.network.train()
            self._rows.append({"step": step, "test_error": score.error, "test_loss": score.loss})

    def __call__(self, progress: Progress) -> None:
        """Take one report: the state after a step, and the gradient of the state before it."""
        super().__call__(progress)
        if progress.step - 1 in self._logged:
            self._held.append((progress.step - 1, GRADIENT, gradient_size(progress.gradient), None))
        if progress.step in self._logged or progress.step in self._evaluated:
            self._describe(progress.step, progress.state())
        if len(self._held) >= _HELD:
            self.rows()

    def rows(self) -> list[dict[str, Any]]:
        """Fetch what waits on the device."""
        for step, names, values, weights in self._held:
            self._rows.append({"step": step, **dict(zip(names, values.tolist(), strict=True))})
            if weights is not None:
                artifacts.write_tensors(_snapshot(self._job, self._seed, step), {"weights": weights}, {"key": self._job.key})
        self._held.clear()
        return self._rows


def _joined(job: Job[Spec], seed: int, rows: list[dict[str, Any]], final: State | None, names: list[str]) -> list[dict[str, Any]]:
    """Put a run's descriptions together, a row a step, and compare each with the run's end; None for a diverged one."""
    found: dict[int, dict[str, Any]] = {}
    for row in rows:
        found.setdefault(row["step"], dict.fromkeys((*_COLUMNS, *GRADIENT, *_FINAL, "test_error", "test_loss"))).update(row)
    end = None if final is None else early_steps.flattened(final.params, names).half().double()
    for step, row in found.items():
        if end is not None and row[WEIGHTS[0]] is not None:
            weights = artifacts.read_tensors(_snapshot(job, seed, step))[0]["weights"].double()
            values = (weights - end).norm(), early_steps.cosine(weights, end)
            row.update(zip(_FINAL, map(float, values), strict=True))
    who = {"task": job.spec["task"]["name"], "seed": seed}
    return [who | found[step] for step in sorted(found)]


def run(job: Job[Spec]) -> None:
    """Train a chunk of seeds from W_0 to the end and describe the first steps."""
    spec, task = job.spec, job.spec["task"]
    dataset = data.read(job, device.pick(numerics(task)))
    setting = Setting(task, data.build(task, dataset), dataset, task["steps"], job=job, reporter=Watcher)
    starts, _ = artifacts.read_states(job.file("start", "state.safetensors"))
    runs = [Run(start, None, (seed, spec["order"])) for seed, start in zip(spec["seeds"], starts, strict=True)]
    rows: list[dict[str, Any]] = []
    with resumption.kept(job, task["steps"]) as keeper:
        for (seed, *_), (result, seen) in zip([run.order for run in runs], train_cohort(setting, runs, keeper), strict=True):
            final = None if result.last_finite is not None else result.state
            rows += _joined(job, seed, seen, final, prunable(setting.network))
        artifacts.write_rows(job.folder / "telemetry.parquet", rows)
    for path in job.folder.glob(".snapshot-*.safetensors"):
        path.unlink()
