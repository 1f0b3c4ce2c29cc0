"""Start + mask + order -> trained state, learning curve and final errors."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import nn

from pipeline_lib import artifacts, masks, tables
from pipeline_lib.evaluate import evaluate
from pipeline_lib.initialise import prunable
from pipeline_lib.job import Job, log
from pipeline_lib.stages import data
from pipeline_lib.stages.training import Reporter, train_member
from pipeline_lib.types import Dataset, Mask, State


def _masks(job: Job, network: nn.Sequential, num_seeds: int) -> tuple[list[Mask], str]:
    """Read a mask a seed and the criterion that made them; all ones where nothing is pruned."""
    if "mask" not in job.reads:
        ones = {name: np.ones(network.get_parameter(name).shape, dtype=bool) for name in prunable(network)}
        return [ones] * num_seeds, "none"
    arrays, meta = artifacts.read_arrays(job.file("mask", "mask.safetensors"))
    found: list[Mask] = [{name: array[i] for name, array in arrays.items()} for i in range(num_seeds)]
    weights = {name: tensor.detach().numpy() for name, tensor in network.named_parameters()}
    for mask in found:
        masks.check_fit(mask, weights)
    return found, meta["spec"]["criterion"]


def _row(spec: dict[str, Any], network: nn.Sequential, dataset: Dataset, state: State, mask: Mask) -> dict[str, Any]:
    scores = {part: evaluate(network, state, getattr(dataset, part), dataset) for part in ("train", "test")}
    ends = {f"{part}_{what}": getattr(score, what) for part, score in scores.items() for what in ("error", "loss")}
    sizes = {"num_params": sum(p.numel() for p in network.parameters()), "num_kept": masks.num_kept(mask)}
    return {**sizes, **ends, "steps": state.step, "start": "fresh" if spec["kind"] == "reinit" else "rewound"}


def run(job: Job) -> None:
    """Train a cohort, member by member, from step k to the end of its task."""
    spec, dataset = job.spec, data.read(job)
    task, network = spec["task"], data.build(spec["task"], dataset)
    starts, _ = artifacts.read_states(job.file("start", "state.safetensors"))
    seeds = sorted({seed for seed, _ in spec["members"]})
    seed_masks, criterion = _masks(job, network, len(seeds))
    trained, rows, curves = [], [], []
    for seed, order in spec["members"]:
        mask, start = seed_masks[seeds.index(seed)], starts[seeds.index(seed)]
        reporter = Reporter(f"seed {seed} order {order}", network, dataset, task["steps"], task["evaluate_every"])
        used = mask if criterion != "none" else None
        state = train_member(task, network, dataset, start, used, (seed, order), task["steps"], reporter)
        who = {key: spec[key] for key in ("kind", "k", "level")}
        who |= {"task": task["name"], "seed": seed, "order": order, "density": masks.density(mask), "mask": criterion}
        rows.append(who | _row(spec, network, dataset, state, mask))
        curves += [who | point for point in reporter.curve]
        trained.append(state)
        log.info("seed %d order %d: test accuracy %.2f %%", seed, order, 100 * (1 - rows[-1]["test_error"]))
    artifacts.write_table(job.folder / "runs.parquet", tables.to_arrow(rows, "runs"))
    artifacts.write_table(job.folder / "curves.parquet", tables.to_arrow(curves, "curves"))
    density = [row["density"] for row in rows]
    meta = job.meta(prunable=prunable(network), params=list(trained[0].params), density=density)
    artifacts.write_states(job.folder / "state.safetensors", trained, meta)
