"""Solution -> how far it can be moved along directions of three kinds before the training loss no longer matches."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pandas as pd
from torch import Tensor

from pipeline_lib.analysis.curvature import gauss_newton_product
from pipeline_lib.analysis.radii import KINDS, direction, moved_along, survivors
from pipeline_lib.analysis.rays import reaches
from pipeline_lib.core.rng import torch_generator
from pipeline_lib.core.types import Mask, State
from pipeline_lib.pruning.masks import num_kept
from pipeline_lib.stages.support import data, dense, solutions
from pipeline_lib.store import artifacts, specs
from pipeline_lib.store.job import Job, log
from pipeline_lib.tables import tabulation
from pipeline_lib.tables.derived.fits import fits
from pipeline_lib.training.evaluation import chunks, evaluate, subset

STAGE = {
    "radii": {
        "group": "landscape",
        "needs": "solution, cuts and dense networks",
        "makes": "distances at which the training loss no longer matches, along directions",
        "cluster": {"minutes": 120, "megabytes": 8000},
        "rate": "evaluation",
        "size": [1.2e-2, "examples", "directions", "seeds"],
        "tables": {
            "radii": {
                "of": ["the solution"],
                "columns": [
                    "task", "seed", "k", "level",
                    ["direction", "string", "-", "random; magnitude: in proportion to weights; curvature: Gauss-Newton product"],
                    ["index", "int64", "-", "number of the direction, from 0"],
                    ["forwards", "bool", "-", "along it, or back"],
                    ["radius", "double", "1", "distance at which the loss is epsilon above the solution's; null if far out"],
                    "epsilon", "dimension", "num_examples",
                    ["loss", "double", "nats", "mean cross-entropy of the solution over those images"],
                ],
            },
        },
    }
}  # fmt: skip


class Spec(specs.Solutions):
    """Radii of the matching set around solutions.

    Args:
        examples: training images on which the loss is followed.
        directions: of each kind.
        fit_level: the level whose cuts tell what loss matches.
        fit_fractions: shares of survivors that it is fitted to.
        regression: of what its squares are.
    """

    examples: int
    directions: int
    fit_level: int
    fit_fractions: list[float]
    regression: str


_PER_OCTAVE, _OCTAVES, _LEAST = 2, 12, 1e-3  # steps outwards, from a thousandth of the weights' length to four times it


def _epsilons(job: Job[Spec], losses: dict[int, float]) -> dict[int, float]:
    """Give the height of the matching set above each seed's solution; at most 0 where it has none, NaN where it is not known."""
    spec, task = job.spec, job.spec["task"]["name"]
    cuts = tabulation.read(job.file("cuts", "cuts.parquet"))
    same = {"task": task, "kind": "dense", "level": 0, "k": 0, "noise_order": 0}
    runs = pd.DataFrame([same | {"test_error": error} for error in dense.errors(job)])
    how = {"fit_levels": {task: spec["fit_level"]}, "fit_fractions": {task: spec["fit_fractions"]}}
    rows = fits({"cuts": cuts, "runs": runs}, how | {"regressions": {task: spec["regression"]}})
    matching = {row["seed"]: row["matching_loss"] for row in rows}
    return {seed: math.nan if matching.get(seed) is None else matching[seed] - loss for seed, loss in losses.items()}


@dataclass(frozen=True)
class _Around:
    """A solution, and its loss on some images in the space of its survivors."""

    world: data.World
    state: State
    mask: Mask

    def loss(self, way: Tensor | None = None) -> float:
        """Evaluate the loss there, or at a vector from there."""
        there = self.state if way is None else moved_along(self.state, list(self.mask), self.mask, way)
        train = self.world.dataset.train
        return evaluate(self.world.network, there, train, self.world.dataset, self.world.numerics).loss


def _radii(around: _Around, seed: int, epsilon: float, num: int) -> list[dict[str, Any]]:
    """Follow the loss along directions of every kind, both ways."""
    world, names = around.world, list(around.mask)
    weights = survivors(around.state, names, around.mask)
    batches = partial(chunks, world.dataset.train, world.dataset, world.numerics)
    product, _ = gauss_newton_product(world.network, around.state, batches, names, around.mask)
    at = [(kind, i) for kind in KINDS for i in range(num)]
    ways = [direction(kind, weights, product, torch_generator("radii", seed, kind, i)) for kind, i in at]
    both = [way for each in ways for way in (each, -each)]
    size, own = float(weights.double().norm()), around.loss()
    places = [_LEAST * size * 2 ** (i / _PER_OCTAVE) for i in range(_OCTAVES * _PER_OCTAVE + 1)]
    found = reaches(lambda points: [around.loss(r * both[ray]) for ray, r in points], len(both), own, [own + epsilon], places)
    return [
        {"direction": kind, "index": i, "forwards": not back, "radius": found[2 * number + back, 0]}
        for number, (kind, i) in enumerate(at)
        for back in (0, 1)
    ]


def run(job: Job[Spec]) -> None:
    """Measure a chunk of seeds; no rows of one that has diverged or has no matching set."""
    spec, world = job.spec, data.world(job)
    there, key = solutions.sound(job, world.device)
    train = subset(world.dataset.train, spec["examples"], "curvature")
    some = replace(world, dataset=replace(world.dataset, train=train))
    whole = {seed: _Around(world, *each).loss() for seed, each in there.items()}
    epsilons, rows = _epsilons(job, whole), list[dict[str, Any]]()
    for seed, (state, mask) in there.items():
        if not epsilons[seed] > 0:
            log.info("seed %d: no matching set, epsilon is %s", seed, epsilons[seed])
            continue
        around = _Around(some, state, mask)
        who = {"task": spec["task"]["name"], "seed": seed, "k": spec["k"], "level": spec["level"], "key": key}
        who |= {"epsilon": epsilons[seed], "dimension": num_kept(mask), "num_examples": len(train.y), "loss": around.loss()}
        rows += [who | row for row in _radii(around, seed, epsilons[seed], spec["directions"])]
        log.info("followed the loss of seed %d at level %d along %d ways", seed, spec["level"], 6 * spec["directions"])
    artifacts.write_rows(job.folder / "radii.parquet", rows)
