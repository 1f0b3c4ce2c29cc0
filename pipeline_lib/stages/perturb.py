"""Masked start -> perturbed start, and how far it went; without torch."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from pipeline_lib import artifacts, masks
from pipeline_lib.around import Around, initial_deviation
from pipeline_lib.job import Job
from pipeline_lib.perturb import perturb, sizes
from pipeline_lib.rng import numpy_generator

Arrays = dict[str, np.ndarray]


def _weights(arrays: Arrays, names: list[str], i: int) -> Arrays:
    return {name: arrays[f"params/{name}"][i] for name in names}


def run(job: Job) -> None:
    """Perturb the starts of a chunk of seeds."""
    spec = job.spec
    arrays, head = artifacts.read_arrays(job.file("start", "state.safetensors"))
    near = {role: artifacts.read_arrays(job.file(role, "state.safetensors"))[0] for role in ("initial", "fresh")}
    kept: Arrays = {}
    if "mask" in job.reads:
        kept, _ = artifacts.read_arrays(job.file("mask", "mask.safetensors"))
    names, rows, changed = head["prunable"], list[dict[str, Any]](), list[Arrays]()
    for i, seed in enumerate(spec["seeds"]):
        before = _weights(arrays, names, i)
        mask = {name: kept[name][i] if kept else np.ones(before[name].shape, dtype=bool) for name in names}
        deviation = {name: initial_deviation(spec["initialisation"], before[name].shape) for name in names}
        around = Around(mask, _weights(near["initial"], names, i), _weights(near["fresh"], names, i), deviation)
        rng = numpy_generator("perturb", spec["start"], seed)
        after = perturb(before, around, spec["steps"], rng)
        who = {key: spec[key] for key in ("kind", "start", "k", "level")} | {"task": spec["name"], "seed": seed}
        rows += [who | {"density": masks.density(mask), **asdict(size)} for size in sizes(before, after, mask)]
        changed.append(after)
    stacked = {f"params/{name}": np.stack([weights[name] for weights in changed]) for name in names}
    header = job.meta(**{key: head[key] for key in ("prunable", "params", "diverged", "step")})
    artifacts.write_rows(job.folder / "perturbations.parquet", rows)
    artifacts.write_arrays(job.folder / "state.safetensors", arrays | stacked, header)
