"""State (+ mask) -> the state after training on altered data: what a main training may start from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pipeline_lib.core import algebra, registry
from pipeline_lib.core.parameters import prunable
from pipeline_lib.core.rng import torch_generator
from pipeline_lib.core.types import Mask, State
from pipeline_lib.pretexts.support.streams import head_width, new_head
from pipeline_lib.stages.support import data, masks
from pipeline_lib.stages.support.training import Run, Setting, numerics, train_cohort
from pipeline_lib.store import artifacts, device, resumption, specs
from pipeline_lib.store.job import Job

STAGE = {
    "teach": {
        "group": "states",
        "needs": "state",
        "makes": "state after training on altered data",
        "files": ["state.safetensors"],
        "cluster": {"minutes": 60, "megabytes": 8000},
        "rate": "training",
        "size": ["until", "seeds"],
    }
}  # fmt: skip


class Spec(specs.Seeds):
    """Training on altered data.

    Args:
        task: what a training step depends on.
        start: what is done with the network up to here, in words; a part of the draws.
        pretexts: what is altered, in this order.
        order: of the batches, the same number for all seeds; below 0, no replicate's, for what is learned before the task.
        until: step that it goes to.
        restart: whether steps count from 0, and again from 0 after it.
    """

    task: specs.Dynamics
    start: str
    pretexts: list[specs.Bound]
    order: int
    until: int
    restart: bool


def _fitting(mask: Mask, state: State) -> dict[str, Any]:
    """Keep the masks of the tensors that they fit: a head of another width is dense."""
    return {name: keep for name, keep in mask.items() if keep.shape == tuple(state.params[name].shape)}


def _masked(state: State, mask: Mask) -> State:
    return algebra.masked(state, _fitting(mask, state))


def _with_head(spec: Spec, setting: Setting, state: State, seed: int, draw: str) -> State:
    """Give a state the head of the setting's network: its own where it fits, else a new one."""
    generator = torch_generator("head", seed, spec["start"], draw)
    fresh = registry.call("initialisers", spec["task"]["initialisation"], network=setting.network, generator=generator)
    return new_head(state, fresh)


def _setting(job: Job[Spec]) -> tuple[Setting, Setting]:
    """Describe the lesson, and the task that its network goes back to."""
    spec, task = job.spec, job.spec["task"]
    dataset = data.read(job, device.pick(numerics(task)))
    lessons = tuple(registry.call("pretexts", pretext) for pretext in spec["pretexts"])
    if spec["restart"]:
        task = task | {"schedule": registry.bind("schedules", {"name": "constant"}, (), "schedule")}
    taught = Setting(task, data.build(task, dataset, head_width(lessons)), dataset, spec["until"], job=job, lessons=lessons)
    return taught, Setting(spec["task"], data.build(task, dataset), dataset, spec["until"])


def run(job: Job[Spec]) -> None:
    """Teach a chunk of seeds. A diverged member keeps its start, and what comes from it says so."""
    spec = job.spec
    taught, main = _setting(job)
    states, head = artifacts.read_states(job.file("start", "state.safetensors"))
    kept = masks.read(job, {name: states[0].params[name].shape for name in head["prunable"]})
    seed_masks: list[Mask] = [{}] * len(states) if kept.dense else kept.members
    runs, ended = [], []
    for seed, state, mask in zip(spec["seeds"], states, seed_masks, strict=True):
        begin = _masked(_with_head(spec, taught, state, seed, "pretext"), mask)
        begin = replace(begin, step=0 if spec["restart"] else state.step)
        runs.append(Run(begin, _fitting(mask, begin) or None, (seed, spec["order"])))
    with resumption.kept(job, spec["until"]) as keeper:
        results = [result for result, _ in train_cohort(taught, runs, keeper)]
        for seed, result, mask in zip(spec["seeds"], results, seed_masks, strict=True):
            state = _masked(_with_head(spec, main, result.state, seed, "main"), mask)
            ended.append(replace(state, step=0 if spec["restart"] else spec["until"], slots={}))
        own = [result.last_finite is not None for result in results]
        diverged = [any(each) for each in zip(own, head["diverged"], kept.diverged, strict=True)]
        meta = job.meta(prunable=prunable(main.network), params=list(states[0].params), diverged=diverged)
        artifacts.write_states(job.folder / "state.safetensors", ended, meta)
