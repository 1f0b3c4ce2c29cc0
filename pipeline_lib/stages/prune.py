"""Trained state + mask -> next mask, without torch."""

from __future__ import annotations

import numpy as np

from pipeline_lib.core import registry
from pipeline_lib.core.rng import numpy_generator
from pipeline_lib.pruning import masks
from pipeline_lib.store import artifacts
from pipeline_lib.store.job import Job

STAGE = {
    "prune": {
        "group": "masks",
        "needs": "trained state + mask",
        "makes": "next mask",
        "files": ["mask.safetensors"],
        "seconds": 0.3,
    }
}  # fmt: skip

Arrays = dict[str, np.ndarray]


def _member(arrays: Arrays, i: int) -> Arrays:
    return {name: array[i] for name, array in arrays.items()}


def _next(job: Job, i: int, seed: int, weights: Arrays | None, mask: Arrays) -> Arrays:
    spec = job.spec
    rng = numpy_generator("prune", spec["criterion"], seed, spec["k"], spec["level"])
    if weights is None:
        return masks.shuffled(_member(mask, i), rng)
    criterion = registry.entries("criteria")[spec["criterion"]].load()
    return criterion(_member(weights, i), _member(mask, i), spec["fraction"], spec["scope"], rng)


def run(job: Job) -> None:
    """Make the next masks of a chunk of seeds. Where a run diverged or no weight is left, later masks say so."""
    weights: Arrays | None = None
    mask: Arrays = {}
    diverged, empty = [False] * len(job.spec["seeds"]), list[bool]()
    if "mask" in job.reads:
        mask, meta = artifacts.read_arrays(job.file("mask", "mask.safetensors"))
        diverged, empty = meta["diverged"], meta["empty"]
    if "state" in job.reads:
        arrays, meta = artifacts.read_arrays(job.file("state", "state.safetensors"))
        weights = {name: arrays[f"params/{name}"] for name in meta["prunable"]}
        mask = mask or {name: np.ones(weight.shape, dtype=bool) for name, weight in weights.items()}
        diverged = [before or now for before, now in zip(diverged, meta["diverged"], strict=True)]
    members = [_next(job, i, seed, weights, mask) for i, seed in enumerate(job.spec["seeds"])]
    stacked = {name: np.stack([member[name] for member in members]) for name in members[0]}
    artifacts.write_arrays(job.folder / "mask.safetensors", stacked, job.meta(**masks.ended(members, diverged, empty)))
