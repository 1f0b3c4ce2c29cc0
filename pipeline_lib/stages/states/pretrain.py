"""W_0 -> W_k: initialise, then train the dense network for k steps under the ladder's own order."""

from __future__ import annotations

from pipeline_lib.core import registry
from pipeline_lib.core.parameters import prunable
from pipeline_lib.core.rng import torch_generator
from pipeline_lib.stages.support import data
from pipeline_lib.stages.support.training import Run, Setting, numerics, train_cohort
from pipeline_lib.store import artifacts, device, resumption, specs
from pipeline_lib.store.job import Job

STAGE = {
    "pretrain": {
        "group": "states",
        "needs": "W_0",
        "makes": "W_k",
        "files": ["state.safetensors"],
        "cluster": {"minutes": 60, "megabytes": 8000},
        "rate": "training",
        "size": ["k", "seeds"],
    }
}  # fmt: skip


class Spec(specs.Seeds):
    """Dense networks at step k.

    Args:
        task: what a training step depends on.
        k: steps to train.
        order: of the batches, the same number for all seeds.
        draw: name of the initial weights' draw: `W0`, or another one's.
    """

    task: specs.Dynamics
    k: int
    order: int
    draw: str


def run(job: Job[Spec]) -> None:
    """Make the states at step k of a chunk of seeds."""
    spec, task = job.spec, job.spec["task"]
    dataset = data.read(job, device.pick(numerics(task)))
    setting = Setting(task, data.build(task, dataset), dataset, spec["k"])
    runs = []
    for seed in spec["seeds"]:
        generator = torch_generator("init", seed, spec["draw"])
        start = registry.call("initialisers", task["initialisation"], network=setting.network, generator=generator)
        runs.append(Run(start, None, (seed, spec["order"])))
    with resumption.kept(job, spec["k"]) as keeper:
        trained = [result for result, _ in train_cohort(setting, runs, keeper)]
        diverged = [result.last_finite is not None for result in trained]
        meta = job.meta(prunable=prunable(setting.network), params=list(runs[0].start.params), diverged=diverged)
        artifacts.write_states(job.folder / "state.safetensors", [result.state for result in trained], meta)
