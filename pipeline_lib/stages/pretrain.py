"""W_0 -> W_k: initialise, then train the dense network for k steps under the ladder's own order."""

from __future__ import annotations

from pipeline_lib import artifacts
from pipeline_lib.initialise import initialise, prunable
from pipeline_lib.job import Job
from pipeline_lib.rng import torch_generator
from pipeline_lib.stages import data
from pipeline_lib.stages.training import Reporter, train_member


def run(job: Job) -> None:
    """Make the states at step k of a chunk of seeds."""
    spec, dataset = job.spec, data.read(job)
    network = data.build(spec["task"], dataset)
    members = []
    for seed in spec["seeds"]:
        start = initialise(network, torch_generator("init", seed, spec["draw"]))
        reporter = Reporter(f"seed {seed}", network, dataset, spec["k"], 0)
        members.append(train_member(spec["task"], network, dataset, start, None, (seed, spec["order"]), spec["k"], reporter))
    meta = job.meta(prunable=prunable(network), params=list(members[0].params))
    artifacts.write_states(job.folder / "state.safetensors", members, meta)
