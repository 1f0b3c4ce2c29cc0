"""State + mask -> a derivative by weight, which a pruning criterion looks at."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from torch import Tensor

from pipeline_lib.core import algebra, registry
from pipeline_lib.core.rng import torch_generator
from pipeline_lib.core.types import Dataset, Mask
from pipeline_lib.pruning.masks import num_kept
from pipeline_lib.stages import data
from pipeline_lib.stages.training import numerics
from pipeline_lib.store import artifacts, device
from pipeline_lib.store.job import Job, log
from pipeline_lib.training.batches import Normaliser
from pipeline_lib.training.precision import Numerics

STAGE = {
    "score": {
        "group": "masks",
        "needs": "state + mask",
        "makes": "a derivative by weight, which a criterion looks at",
        "files": ["scores.safetensors"],
        "cluster": {"minutes": 60, "megabytes": 8000},
        "rate": "evaluation",
        "size": [12e-4, "examples", "seeds"],
    }
}  # fmt: skip


def _batches(dataset: Dataset, num: int, size: int, how: Numerics) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield as many training images, drawn at random, in mini-batches of a size or little less; the same ones for all seeds."""
    split, place = dataset.train, dataset.train.y.device
    normalise = Normaliser(dataset, place)
    chosen = torch.randperm(len(split.y), generator=torch_generator("score", num))[:num]
    # Of nearly one size: BatchNorm normalises with each one's own statistics.
    for part in chosen.tensor_split(math.ceil(len(chosen) / size)):
        at = part.to(place)
        yield how.lay(normalise(split.x[at].to(place))), split.y[at]


def run(job: Job) -> None:
    """Compute a derivative for a chunk of seeds; zeros where a run has diverged or no weight is left."""
    spec, how = job.spec, numerics(job.spec["task"])
    place = device.pick(how)
    dataset = data.read(job, place)
    network = data.build(spec["task"], dataset)
    states, head = artifacts.read_states(job.file("state", "state.safetensors"))
    kept = artifacts.read_arrays(job.file("mask", "mask.safetensors"))[0] if "mask" in job.reads else {}
    derivative = registry.entries("derivatives")[spec["derivative"]].load()
    members: list[dict[str, Tensor]] = []
    for i, seed in enumerate(spec["seeds"]):
        shapes = {name: states[i].params[name].shape for name in head["prunable"]}
        mask: Mask = {name: kept[name][i] if kept else np.ones(shape, dtype=bool) for name, shape in shapes.items()}
        if head["diverged"][i] or not num_kept(mask):
            members.append({name: torch.zeros(shape, device=place) for name, shape in shapes.items()})
            continue
        state = algebra.moved(algebra.masked(states[i], mask), place)
        batches = partial(_batches, dataset, spec["examples"], spec["batch_size"], how)
        members.append(derivative(network=network, state=state, batches=batches, mask=mask))
        log.info("seed %d level %d: %s of %d weights", seed, spec["level"], spec["derivative"], num_kept(mask))
    stacked = {name: torch.stack([member[name].double() for member in members]) for name in members[0]}
    artifacts.write_tensors(job.folder / "scores.safetensors", stacked, job.meta())
