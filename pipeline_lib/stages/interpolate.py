"""Pairs of trained states -> error and loss along the line between them, and their distances."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline_lib import artifacts, tables, tree
from pipeline_lib.evaluate import Score
from pipeline_lib.interpolate import Distances, alphas, distances, paths
from pipeline_lib.job import Job, log
from pipeline_lib.stages import data, device
from pipeline_lib.stages.training import numerics
from pipeline_lib.types import State

_MEASURED = ("mean_end_error", "max_error", "instability", "l2_params", "l2_weights")


@dataclass(frozen=True)
class _Run:
    state: State
    density: float
    diverged: bool


def _trained(folders: list[Path]) -> tuple[dict[tuple[int, int], _Run], list[str]]:
    """Read all runs by (seed, order), and the names of prunable tensors."""
    runs, names = {}, []
    for folder in folders:
        members, meta = artifacts.read_states(folder / "state.safetensors")
        names = meta["prunable"]
        for (seed, order), *rest in zip(meta["spec"]["members"], members, meta["density"], meta["diverged"], strict=True):
            runs[seed, order] = _Run(*rest)
    return runs, names


def _summary(scores: list[Score], gap: Distances) -> dict[str, float]:
    mean_end, highest = (scores[0].error + scores[-1].error) / 2, max(score.error for score in scores)
    return dict(zip(_MEASURED, (mean_end, highest, highest - mean_end, gap.params, gap.weights), strict=True))


def run(job: Job) -> None:
    """Compare the pairs of a chunk of seeds on each split. A pair with a diverged run has no values."""
    spec, place = job.spec, device.pick(numerics(job.spec["task"]))
    dataset = data.read(job, place)
    network = data.build(spec["task"], dataset)
    runs, names = _trained(job.reads["states"])
    members, points = list(runs), alphas(spec["alphas"])
    states = [tree.moved(each.state, place) for each in runs.values()]
    ends = [(members.index((s, i)), members.index((s, j))) for s, i, j in spec["pairs"]]
    sound = [pair for pair in ends if not any(runs[members[i]].diverged for i in pair)]
    gaps = {pair: distances(states[pair[0]], states[pair[1]], names) for pair in sound}
    lines: list[dict[str, Any]] = []
    sums: list[dict[str, Any]] = []
    for split in spec["splits"]:
        found = paths(network, states, sound, points, getattr(dataset, split), dataset, numerics(spec["task"]))
        log.info("interpolated %d pairs on the %s split", len(sound), split)
        for (seed, i, j), pair in zip(spec["pairs"], ends, strict=True):
            who = {"task": spec["task"]["name"], "seed": seed, "order_1": i, "order_2": j, "split": split}
            who |= {key: spec[key] for key in ("kind", "k", "level")} | {"density": runs[seed, i].density}
            scores = [(score.error, score.loss) for score in found[pair]] if pair in found else [(None, None)] * len(points)
            lines += [who | {"alpha": a, "error": error, "loss": loss} for a, (error, loss) in zip(points, scores, strict=True)]
            sums.append(who | (_summary(found[pair], gaps[pair]) if pair in found else dict.fromkeys(_MEASURED)))
    artifacts.write_table(job.folder / "interpolation.parquet", tables.to_arrow(lines, "interpolation"))
    artifacts.write_table(job.folder / "instability.parquet", tables.to_arrow(sums, "instability"))
