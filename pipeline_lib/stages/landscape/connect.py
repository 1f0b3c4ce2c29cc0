"""Networks of one seed, of two levels or starts -> error and loss along the line between them, and their distance."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any, NotRequired, TypedDict

import torch

from pipeline_lib.analysis.paths import alphas, distances, paths, summarise, with_midpoint
from pipeline_lib.stages.landscape.interpolate import NOTHING, Trained, check_end, keys, path_rows, projected, sound, trained
from pipeline_lib.stages.support import data
from pipeline_lib.store import artifacts, specs
from pipeline_lib.store.job import Job, log
from pipeline_lib.training.evaluation import Score

STAGE = {
    "connect": {
        "needs": "solutions, projections",
        "makes": "error along the lines between them",
        "cluster": {"minutes": 120, "megabytes": 8000},
        "rate": "evaluation",
        "size": ["alphas", "pairs", "splits", "seeds"],
        "tables": {
            "paths": {
                "of": ["network 1", "network 2; of a projection that which is pruned"],
                "columns": [
                    "task", "seed", "what", "k",
                    ["start", "string", "-", "start of network 2: that of the ladder, or what it was changed to if perturbed"],
                    "level_1", "level_2", "alignment",
                    ["alpha", "double", "1", "position on the line: alpha W_1 + (1 - alpha) W_2"],
                    "split", "error", "loss",
                ],
            },
            "barriers": {
                "of": ["network 1", "network 2; of a projection that which is pruned"],
                "columns": [
                    "task", "seed", "what", "k",
                    ["start", "string", "-", "start of network 2: that of the ladder, or what it was changed to if perturbed"],
                    "level_1", "level_2", "alignment",
                    ["density_1", "double", "1", "share of prunable weights that survive in network 1"],
                    ["density_2", "double", "1", "share of prunable weights that survive in network 2"],
                    "split",
                    ["error_1", "double", "1", "error of network 1"],
                    ["error_2", "double", "1", "error of network 2"],
                    "mean_end_error", "max_error", "instability", "barrier", "loss_barrier", "midpoint_error", "l2_params",
                    "l2_weights",
                ],
            },
        },
    }
}  # fmt: skip


class Point(TypedDict):
    """A network: `state` is its number among the states that are read, `mask` that of the mask it is projected by, if any."""

    state: int
    mask: int | None


class Pair(TypedDict):
    """Two networks to connect.

    Args:
        what: `levels`, `projection` or `perturbed`.
        start: of the second, in words.
        level_1: of the first.
        level_2: of the second.
        i: number of the first among the points.
        j: number of the second.
    """

    what: str
    start: str
    level_1: int
    level_2: int
    i: int
    j: int


class Spec(specs.Measured, specs.Seeds):
    """Lines between networks of one seed.

    Args:
        k: rewind step of the ladder.
        alphas: points on each line.
        splits: where they are evaluated.
        points: the networks.
        pairs: which of them are connected.
        alignment: what the second network of each pair was permuted by; left out where it is as it was trained.
    """

    k: int
    alphas: int
    splits: list[str]
    points: list[Point]
    pairs: list[Pair]
    alignment: NotRequired[str]


Rows = list[dict[str, Any]]
_LABEL = ("what", "start", "level_1", "level_2")
_NO_DISTANCE = {"l2_params": None, "l2_weights": None}


def _points(job: Job[Spec], seed: int, place: torch.device) -> tuple[list[Trained], list[str]]:
    """Put the networks of one seed onto a device, and list the prunable tensors."""
    runs: list[Trained] = []
    names: list[str] = []
    for folder in job.reads["states"]:
        found, names = trained([folder], place, seed)
        (run,) = found.values()
        runs.append(run)
    masks, asked = job.reads.get("masks", []), [(runs[point["state"]], point["mask"]) for point in job.spec["points"]]
    return [run if mask is None else projected(run, masks[mask], seed) for run, mask in asked], names


def _ends(job: Job[Spec], seed: int, points: list[Trained], place: torch.device) -> list[tuple[int, int]]:
    """Number the two networks of each pair; where the second was permuted, that is one more point, whose zeros moved with it."""
    ends = [(pair["i"], pair["j"]) for pair in job.spec["pairs"]]
    for n, folder in enumerate(job.reads.get("aligned", [])):
        (there,) = trained([folder], place, seed)[0].values()
        i, j = ends[n]
        points.append(replace(points[j], state=there.state, diverged=there.diverged))
        ends[n] = i, len(points) - 1
    return ends


def _distance(label: dict[str, Any], first: Trained, second: Trained, names: list[str]) -> dict[str, Any]:
    """Compute how far apart a pair is.

    Raises:
        ValueError: not at all, so that the line between the two would look free of barriers.
    """
    gap = distances(first.state, second.state, names)
    if gap.params == 0:
        who = f"seed {label['seed']}, {label['what']}, levels {label['level_1']} and {label['level_2']}, {label['start']}"
        raise ValueError(f"networks ({who}) must differ, got equal weights; prune more at a time, or change the start more")
    return {"l2_params": gap.params, "l2_weights": gap.weights}


def _summary(pair: tuple[Trained, Trained], split: str, weights: list[float], scores: list[Score], num: int) -> dict[str, Any]:
    """Sum up one line after checking the ends that are runs."""
    ends = scores[-1], scores[0]  # network 1 is at alpha = 1
    for run, score in zip(pair, ends, strict=True):
        if split in run.errors:
            check_end(run, split, score)
    return asdict(summarise(weights, scores, num)) | {"error_1": ends[0].error, "error_2": ends[1].error}


def _connect(job: Job[Spec], world: data.World, seed: int) -> tuple[Rows, Rows]:
    """Compare all pairs of one seed: the points of their lines, and what these amount to."""
    spec, asked = job.spec, alphas(job.spec["alphas"])
    weights = with_midpoint(asked)  # the midpoint is a column of its own, and no row if it is not asked for
    points, names = _points(job, seed, world.device)
    pairs = _ends(job, seed, points, world.device)
    whole = sound(pairs, {i for i, point in enumerate(points) if point.diverged})
    common = {"task": spec["task"]["name"], "seed": seed, "k": spec["k"], "alignment": spec.get("alignment", "none")}
    labels = [common | {key: pair[key] for key in _LABEL} for pair in spec["pairs"]]  # type: ignore[literal-required]
    labels = [who | keys(points[i], points[j]) for who, (i, j) in zip(labels, pairs, strict=True)]
    apart = [
        _distance(who, points[i], points[j], names) if (i, j) in whole else _NO_DISTANCE
        for who, (i, j) in zip(labels, pairs, strict=True)
    ]
    lines: Rows = []
    sums: Rows = []
    for split in spec["splits"]:
        states, part = [point.state for point in points], world.split(split)
        found = paths(world.network, states, whole, weights, part, world.dataset, world.numerics) if whole else {}
        for who, (i, j), distance in zip(labels, pairs, apart, strict=True):
            label, scores, pair = who | {"split": split}, found.get((i, j)), (points[i], points[j])
            lines += path_rows(label, weights, scores, asked)
            values = NOTHING | {"error_1": None, "error_2": None}
            if scores:
                values = _summary(pair, split, weights, scores, spec["alphas"])
            sums.append(label | {"density_1": pair[0].density, "density_2": pair[1].density} | distance | values)
    log.info("seed %d: %d lines between %d networks, %d diverged", seed, len(whole), len(points), len(pairs) - len(whole))
    return lines, sums


def run(job: Job[Spec]) -> None:
    """Compare the pairs of each seed of a chunk on each split, seed by seed. A pair with a diverged run has no values."""
    world = data.world(job)
    lines: Rows = []
    sums: Rows = []
    for seed in job.spec["seeds"]:
        points, summaries = _connect(job, world, seed)
        lines += points
        sums += summaries
    artifacts.write_rows(job.folder / "paths.parquet", lines)
    artifacts.write_rows(job.folder / "barriers.parquet", sums)
