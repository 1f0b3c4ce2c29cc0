"""Masked start -> perturbed start, and how far it went; without torch."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from pipeline_lib.core.rng import numpy_generator
from pipeline_lib.perturbations.support.application import perturb, sizes
from pipeline_lib.perturbations.support.context import Around, initial_deviation
from pipeline_lib.pruning.masks import density
from pipeline_lib.stages.support.masks import read
from pipeline_lib.store import artifacts, specs
from pipeline_lib.store.job import Job

STAGE = {
    "perturb": {
        "group": "masks",
        "needs": "masked start",
        "makes": "perturbed start, and the size of the change",
        "files": ["state.safetensors"],
        "seconds": 0.4,
        "tables": {
            "perturbations": {
                "of": ["the perturbed state", "the state before the last perturbation"],
                "columns": [
                    "task", "seed", "kind", "start", "k", "level", "density",
                    ["layer", "string", "-", "prunable tensor, or all: pooled over all of them"],
                    ["mean", "double", "1", "mean of the change over surviving weights; null where a layer has none"],
                    ["deviation", "double", "1", "effective standard deviation: that of the change over surviving weights"],
                    ["norm", "double", "1", "L2 norm of the change"],
                    ["last_mean", "double", "1", "as mean, of the last of several perturbations alone"],
                    ["last_deviation", "double", "1", "as deviation, of the last of several perturbations alone"],
                    ["last_norm", "double", "1", "as norm, of the last of several perturbations alone"],
                    ["num_weights", "int64", "1", "surviving weights"],
                ],
            },
        },
    }
}  # fmt: skip


class Spec(specs.Seeds):
    """Changes of masked starts.

    Args:
        name: of the task.
        initialisation: name of how its weights were drawn.
        kind: of the masks.
        k: rewind step.
        level: of the ladder, 0 for a dense network.
        start: what is done with the network up to here, in words; a part of the draws.
        steps: perturbations, one after the other.
    """

    name: str
    initialisation: str
    kind: str
    k: int
    level: int
    start: str
    steps: list[specs.Bound]


Arrays = dict[str, np.ndarray]


def _weights(arrays: Arrays, names: list[str], i: int) -> Arrays:
    return {name: arrays[f"params/{name}"][i] for name in names}


def _unperturbed(job: Job[Spec], start: Arrays) -> Arrays:
    """Give the weights before the first of several perturbations, which is the start itself if this is the first."""
    if "unperturbed" not in job.reads:
        return start
    return artifacts.read_arrays(job.file("unperturbed", "state.safetensors"))[0]


def run(job: Job[Spec]) -> None:
    """Perturb the starts of a chunk of seeds. Where the next level's mask comes from a diverged run, the start says so too."""
    spec = job.spec
    arrays, head = artifacts.read_arrays(job.file("start", "state.safetensors"))
    unperturbed = _unperturbed(job, arrays)
    near = {role: artifacts.read_arrays(job.file(role, "state.safetensors"))[0] for role in ("initial", "fresh")}
    names, rows, changed = head["prunable"], list[dict[str, Any]](), list[Arrays]()
    shapes = {name: arrays[f"params/{name}"].shape[1:] for name in names}
    kept, later = read(job, shapes), read(job, shapes, "next")
    for i, seed in enumerate(spec["seeds"]):
        before = _weights(arrays, names, i)
        initial, fresh = (_weights(near[role], names, i) for role in ("initial", "fresh"))
        deviation = {name: initial_deviation(spec["initialisation"], initial[name]) for name in names}
        mask = kept.members[i]
        around = Around(mask, initial, fresh, deviation, None if later.dense else later.members[i])
        rng = numpy_generator("perturb", spec["start"], seed)
        after = perturb(before, around, spec["steps"], rng)
        who = {key: spec[key] for key in ("kind", "start", "k", "level")} | {"task": spec["name"], "seed": seed}
        who |= {"key": job.key, "other_key": head["key"]}
        last = sizes(before, after, mask)
        for size, own in zip(sizes(_weights(unperturbed, names, i), after, mask), last, strict=True):
            alone = {"last_mean": own.mean, "last_deviation": own.deviation, "last_norm": own.norm}
            rows.append(who | {"density": density(mask)} | asdict(size) | alone)
        changed.append(after)
    stacked = {f"params/{name}": np.stack([weights[name] for weights in changed]) for name in names}
    diverged = [before or now for before, now in zip(head["diverged"], later.diverged, strict=True)]
    header = job.meta(diverged=diverged, **{key: head[key] for key in ("prunable", "params", "step")})
    artifacts.write_rows(job.folder / "perturbations.parquet", rows)
    artifacts.write_arrays(job.folder / "state.safetensors", arrays | stacked, header)
