"""Pairs of trained states -> error and loss along the line between them, and their distances."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline_lib import artifacts, tables
from pipeline_lib.evaluate import Score
from pipeline_lib.interpolate import Distances, alphas, distances, paths
from pipeline_lib.job import Job, log
from pipeline_lib.stages import data
from pipeline_lib.types import State

Member = tuple[int, int]


def _trained(folders: list[Path]) -> tuple[dict[Member, State], dict[Member, float], list[str]]:
    """Read all runs: states and densities by (seed, order), and the names of prunable tensors."""
    states, density, names = {}, {}, []
    for folder in folders:
        members, meta = artifacts.read_states(folder / "state.safetensors")
        names = meta["prunable"]
        for (seed, order), state, share in zip(meta["spec"]["members"], members, meta["density"], strict=True):
            states[seed, order], density[seed, order] = state, share
    return states, density, names


def _summary(scores: list[Score], gap: Distances) -> dict[str, float]:
    mean_end, highest = (scores[0].error + scores[-1].error) / 2, max(score.error for score in scores)
    errors = {"mean_end_error": mean_end, "max_error": highest, "instability": highest - mean_end}
    return {**errors, "l2_params": gap.params, "l2_weights": gap.weights}


def run(job: Job) -> None:
    """Compare the pairs of a chunk of seeds on each split."""
    spec, dataset = job.spec, data.read(job)
    network = data.build(spec["task"], dataset)
    states, density, names = _trained(job.reads["states"])
    members, points = list(states), alphas(spec["alphas"])
    pairs = [(members.index((s, i)), members.index((s, j))) for s, i, j in spec["pairs"]]
    gaps = {pair: distances(states[members[pair[0]]], states[members[pair[1]]], names) for pair in pairs}
    lines: list[dict[str, Any]] = []
    ends: list[dict[str, Any]] = []
    for split in spec["splits"]:
        found = paths(network, list(states.values()), pairs, points, getattr(dataset, split), dataset)
        log.info("interpolated %d pairs on the %s split", len(pairs), split)
        for (seed, i, j), pair in zip(spec["pairs"], pairs, strict=True):
            who = {"task": spec["task"]["name"], "seed": seed, "order_1": i, "order_2": j, "split": split}
            who |= {key: spec[key] for key in ("kind", "k", "level")} | {"density": density[seed, i]}
            rows = zip(points, found[pair], strict=True)
            lines += [who | {"alpha": alpha, "error": score.error, "loss": score.loss} for alpha, score in rows]
            ends.append(who | _summary(found[pair], gaps[pair]))
    artifacts.write_table(job.folder / "interpolation.parquet", tables.to_arrow(lines, "interpolation"))
    artifacts.write_table(job.folder / "instability.parquet", tables.to_arrow(ends, "instability"))
