"""Start + mask + order -> trained state, learning curve and final errors."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, NotRequired

import numpy as np

from pipeline_lib.core import algebra
from pipeline_lib.core.parameters import num_params, prunable
from pipeline_lib.core.types import Mask, State
from pipeline_lib.pruning import masks
from pipeline_lib.stages.support import data
from pipeline_lib.stages.support.together import Work, alone, together
from pipeline_lib.stages.support.training import Cohort, Result, Run, Setting, numerics
from pipeline_lib.store import artifacts, device, resumption, specs
from pipeline_lib.store.job import Job, log
from pipeline_lib.training.evaluation import evaluate
from pipeline_lib.training.loop import Trained

STAGE = {
    "train": {
        "needs": "start + mask + order",
        "makes": "trained state, errors, learning curve",
        "files": ["state.safetensors"],
        "cluster": {"minutes": 240, "megabytes": 8000},
        "rate": "training",
        "size": "trained_steps",
        "tables": {
            "runs": {
                "of": ["the run"],
                "columns": [
                    "task", "seed", "noise_order", "kind", "start",
                    ["mask", "string", "-", "none, the ladder's criterion, or shuffled (a ladder mask permuted in each layer)"],
                    "k", "level", "density",
                    ["num_params", "int64", "1", "trainable parameters of the dense network"],
                    ["num_kept", "int64", "1", "surviving prunable weights; without any, nothing is trained and errors are null"],
                    ["num_empty_layers", "int64", "1", "prunable layers without a surviving weight (layer collapse)"],
                    ["precision", "string", "-", "number format of training and evaluation: fp32, tf32 or bf16"],
                    ["channels_last", "bool", "-", "memory layout of images and convolutions"],
                    ["start_step", "int64", "steps", "step of the schedule at which the run begins: k, or 0 after pretraining"],
                    ["steps", "int64", "steps", "step at which training ends; the run itself takes steps - start_step"],
                    ["diverged", "bool", "-", "a weight became infinite or NaN, here or where its mask is from; errors are null"],
                    ["last_finite_step", "int64", "steps", "last step with a finite loss of a diverged run, else null"],
                    ["train_error", "double", "1", "share of wrong predictions on the training split at the end"],
                    ["train_loss", "double", "nats", "mean cross-entropy on the training split at the end"],
                    ["test_error", "double", "1", "share of wrong predictions on the test split at the end"],
                    ["test_loss", "double", "nats", "mean cross-entropy on the test split at the end"],
                ],
            },
            "curves": {
                "of": ["the run"],
                "columns": [
                    "task", "seed", "noise_order", "kind", "start", "k", "level", "density", "step",
                    ["split", "string", "-", "test, or batch: mean over training mini-batches since the last row, as trained"],
                    "error", "loss",
                ],
            },
        },
    }
}  # fmt: skip


class Spec(specs.Training):
    """Runs from one start.

    Args:
        kind: of their masks.
        k: rewind step.
        level: of the ladder; 0 is dense.
        start: what they start from, in words.
        members: a seed and an order each.
        keep: steps whose states are kept in files of their own.
    """

    kind: str
    k: int
    level: int
    start: str
    members: list[list[int]]
    keep: NotRequired[list[int]]


_ERRORS = [f"{part}_{what}" for part in ("train", "test") for what in ("error", "loss")]


def _masks(job: Job[Spec], setting: Setting, num_seeds: int) -> tuple[list[Mask], str, list[bool], list[bool]]:
    """Read a mask a seed, the criterion that made them, whose ladder has ended, and whose for want of weights.

    All ones where nothing is pruned.
    """
    network = setting.network
    if "mask" not in job.reads:
        ones = {name: np.ones(network.get_parameter(name).shape, dtype=bool) for name in prunable(network)}
        return [ones] * num_seeds, "none", [False] * num_seeds, [False] * num_seeds
    arrays, meta = artifacts.read_arrays(job.file("mask", "mask.safetensors"))
    found: list[Mask] = [{name: array[i] for name, array in arrays.items()} for i in range(num_seeds)]
    weights = {name: artifacts.array(tensor) for name, tensor in network.named_parameters()}
    for mask in found:
        masks.check_fit(mask, weights)
    return found, meta["spec"]["criterion"], meta["diverged"], meta["empty"]


def _row(setting: Setting, result: Trained, mask: Mask, empty: bool) -> dict[str, Any]:
    state, lost = result.state, result.last_finite is not None
    task, sizes = setting.task, {"num_params": num_params(setting.network), "num_kept": masks.num_kept(mask)}
    sizes["num_empty_layers"] = masks.num_empty(mask)
    how = {"precision": task["precision"], "channels_last": task["channels_last"], "steps": state.step}
    how |= {"diverged": lost and not empty, "last_finite_step": None if empty else result.last_finite}
    if lost:
        return sizes | how | dict.fromkeys(_ERRORS)
    state = algebra.moved(state, setting.device)
    dataset = setting.dataset
    scores = [evaluate(setting.network, state, part, dataset, setting.numerics) for part in (dataset.train, dataset.test)]
    return sizes | how | dict(zip(_ERRORS, [value for s in scores for value in (s.error, s.loss)], strict=True))


def _train(
    setting: Setting, runs: list[Run], doomed: list[bool], keeper: resumption.Keeper
) -> Generator[Cohort, list[Result], list[Result]]:
    """Train all runs but those that have no weight or come from a diverged run: these end where they start."""
    going = iter((yield Cohort(setting, [run for run, lost in zip(runs, doomed, strict=True) if not lost], keeper)))
    ended = [Trained(State(run.start.params, run.start.buffers, setting.until), run.start.step) for run in runs]
    return [(end, []) if lost else next(going) for end, lost in zip(ended, doomed, strict=True)]


def _work(job: Job[Spec]) -> Work:
    """Train a cohort from step k to the end of its task."""
    spec, task = job.spec, job.spec["task"]
    dataset = data.read(job, device.pick(numerics(task)))
    keep = frozenset(spec.get("keep", ()))
    setting = Setting(task, data.build(task, dataset), dataset, task["steps"], task["evaluate_every"], keep, job)
    starts, head = artifacts.read_states(job.file("start", "state.safetensors"))
    seeds = sorted({seed for seed, _ in spec["members"]})
    seed_masks, criterion, lost, empty = _masks(job, setting, len(seeds))
    places = [seeds.index(seed) for seed, _ in spec["members"]]
    used = [None if criterion == "none" else seed_masks[at] for at in places]
    runs = [Run(starts[at], mask, (*member,)) for at, mask, member in zip(places, used, spec["members"], strict=True)]  # type: ignore[arg-type]
    rows, curves = [], []
    with resumption.kept(job, task["steps"]) as keeper:
        results = yield from _train(setting, runs, [head["diverged"][at] or lost[at] for at in places], keeper)
        for (result, curve), (seed, order), at in zip(results, spec["members"], places, strict=True):
            who: dict[str, Any] = {key: spec[key] for key in ("kind", "start", "k", "level")} | {
                "task": task["name"],
                "seed": seed,
                "order": order,
            }
            who |= {"density": masks.density(seed_masks[at])}
            row = _row(setting, result, seed_masks[at], empty[at])
            rows.append(who | row | {"mask": criterion, "start_step": starts[at].step})
            curves += [who | point for point in curve]
            told = f"test error {row['test_error'] or 0:.2%}" if row["num_kept"] else "no weight left, not trained"
            if row["diverged"]:
                told = f"diverged after step {row['last_finite_step']}"
            log.info("seed %d order %d: %s", seed, order, told)
        artifacts.write_rows(job.folder / "runs.parquet", rows)
        artifacts.write_rows(job.folder / "curves.parquet", curves)
        each: dict[str, Any] = {"density": [row["density"] for row in rows]}
        each["diverged"] = [result.last_finite is not None for result, _ in results]
        each["errors"] = {split: [row[f"{split}_error"] for row in rows] for split in ("train", "test")}
        meta = job.meta(prunable=prunable(setting.network), params=list(starts[0].params), device=str(setting.device), **each)
        artifacts.write_states(job.folder / "state.safetensors", [result.state for result, _ in results], meta)


def run(job: Job[Spec]) -> None:
    """Train a cohort from step k to the end of its task."""
    alone(_work(job))


def run_together(jobs: Sequence[Job[Spec]], ended: Callable[[int, Exception | None], None]) -> None:
    """Train the cohorts of several jobs of one task side by side; see `together`."""
    together(jobs, _work, ended)
