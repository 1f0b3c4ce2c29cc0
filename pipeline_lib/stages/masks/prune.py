"""State + mask + derivatives that a criterion looks at -> next mask, without torch."""

from __future__ import annotations

from typing import NotRequired

import numpy as np

from pipeline_lib.core.rng import numpy_generator
from pipeline_lib.pruning import masks, selection
from pipeline_lib.store import artifacts, specs
from pipeline_lib.store.job import Job

STAGE = {
    "prune": {
        "group": "masks",
        "needs": "state + mask + what its criterion looks at",
        "makes": "next mask",
        "files": ["mask.safetensors"],
        "seconds": 0.3,
    }
}  # fmt: skip


class Spec(specs.Seeds):
    """Next masks.

    Args:
        criterion: whose scores decide, or `shuffled`: the same number in each layer, elsewhere.
        k: rewind step of the ladder.
        level: that the masks are for.
        scope: within which scores are compared; none if shuffled.
        fraction: share of survivors to prune; none if shuffled.
    """

    criterion: str
    k: int
    level: int
    scope: NotRequired[str]
    fraction: NotRequired[float]


Arrays = dict[str, np.ndarray]


def _member(arrays: Arrays, i: int) -> Arrays:
    return {name: array[i] for name, array in arrays.items()}


def _next(job: Job[Spec], i: int, seed: int, known: dict[str, Arrays], mask: Arrays) -> Arrays:
    spec = job.spec
    rng = numpy_generator("prune", spec["criterion"], seed, spec["k"], spec["level"])
    if not known:
        return masks.shuffled(_member(mask, i), rng)
    own = {name: _member(arrays, i) for name, arrays in known.items()}
    return selection.prune(spec["criterion"], {**own, "rng": rng}, _member(mask, i), spec["fraction"], spec["scope"])


def run(job: Job[Spec]) -> None:
    """Make the next masks of a chunk of seeds. Where a run diverged or no weight is left, later masks say so."""
    derivatives = job.reads.keys() - {"mask", "state"}
    known = {name: artifacts.read_arrays(job.file(name, "scores.safetensors"))[0] for name in derivatives}
    mask: Arrays = {}
    diverged, empty = [False] * len(job.spec["seeds"]), list[bool]()
    if "mask" in job.reads:
        mask, meta = artifacts.read_arrays(job.file("mask", "mask.safetensors"))
        diverged, empty = meta["diverged"], meta["empty"]
    if "state" in job.reads:
        arrays, meta = artifacts.read_arrays(job.file("state", "state.safetensors"))
        known["weights"] = {name: arrays[f"params/{name}"] for name in meta["prunable"]}
        mask = mask or {name: np.ones(weight.shape, dtype=bool) for name, weight in known["weights"].items()}
        diverged = [before or now for before, now in zip(diverged, meta["diverged"], strict=True)]
    members = [_next(job, i, seed, known, mask) for i, seed in enumerate(job.spec["seeds"])]
    stacked = {name: np.stack([member[name] for member in members]) for name in members[0]}
    artifacts.write_arrays(job.folder / "mask.safetensors", stacked, job.meta(**masks.ended(members, diverged, empty)))
