"""Pairs of trained states -> the second of each with its hidden units permuted to match the first's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline_lib.analysis.alignment import Match, check_axes, match_activations, match_weights
from pipeline_lib.core import registry
from pipeline_lib.core.permutations import Axes, permuted_mask, permuted_state
from pipeline_lib.core.types import Mask, State
from pipeline_lib.pruning.masks import ones
from pipeline_lib.stages.landscape.interpolate import Trained, keys, members, trained
from pipeline_lib.stages.support import data
from pipeline_lib.store import artifacts, specs
from pipeline_lib.store.job import Job, log
from pipeline_lib.training.batches import Normaliser
from pipeline_lib.training.evaluation import subset

STAGE = {
    "align": {
        "needs": "pairs of states",
        "makes": "the second of each, its units permuted to match the first's",
        "files": ["state.safetensors", "mask.safetensors"],
        "cluster": {"minutes": 60, "megabytes": 8000},
        "rate": "evaluation",
        "size": [2e-4, "examples", "pairs"],
        "tables": {
            "alignments": {
                "of": ["run 1", "run 2, as it was before it was permuted"],
                "columns": [
                    "task", "seed", "other_seed", "order_1", "order_2", "kind", "k", "level",
                    ["other_level", "int64", "-", "level of run 2: another one only for the successive levels of a ladder"],
                    "density", "alignment",
                    [
                        "before", "double", "1",
                        "how alike the two are as trained: cosine of weights that see units, or mean correlation of units"
                    ],
                    ["after", "double", "1", "the same of the permuted run 2: never less"],
                    ["moved", "double", "1", "share of the hidden units that the permutation moves"],
                    ["sweeps", "int64", "1", "times that all groups of units were gone through until none gained"],
                ],
            },
        },
    }
}  # fmt: skip
_FEW = 8  # images that symmetries are held against
SETTINGS = {
    "align": {
        "about": "whether instability is more than a permutation of hidden units",
        "methods": {
            "default": ["weights", "activations"], "unit": "",
            "rule": "Annotated[Sequence[Literal['weights', 'activations']], Items(1)]",
            "meaning": "what units are matched by",
        },
        "pairs": {
            "default": ["within", "across", "levels"], "unit": "",
            "rule": "Annotated[Sequence[Literal['within', 'across', 'levels']], Items(1)]",
            "meaning": "orders of one seed, each seed and the next, or successive levels of ladders (with `connectivity`)",
        },
        "starts": {"default": 5, "unit": "starts", "rule": "Count", "meaning": "of weight matching: places and orders"},
        "examples": {"default": 1000, "unit": "images", "rule": "Examples", "meaning": "training images that activations are of"},
    }
}  # fmt: skip


class Spec(specs.Pairs):
    """Pairs of runs, the second of which are permuted.

    Args:
        other_level: of the second runs, which are read apart if it is another.
        members: the second of each pair, a seed and an order.
        alignment: what units are matched by.
        starts: places of units and orders of layers that weight matching tries.
        examples: training images that activations are of.
    """

    other_level: int
    members: list[list[int]]
    alignment: str
    starts: int
    examples: int


@dataclass(frozen=True)
class _Setting:
    """What all pairs of a job share; `axes` say which units may be permuted."""

    spec: Spec
    world: data.World
    axes: Axes

    def match(self, first: State, second: State, pair: list[int]) -> Match:
        """Match one pair."""
        spec, world = self.spec, self.world
        if spec["alignment"] == "weights":
            return match_weights(first, second, self.axes, spec["starts"], (*pair,))
        images = subset(world.dataset.train, spec["examples"], "align")
        return match_activations(world.network, first, second, self.axes, images, world.dataset, world.numerics)


def _axes(world: data.World, runs: dict[tuple[int, int], Trained]) -> Axes:
    shape = tuple(world.dataset.train.x.shape[1:])
    found: Axes = registry.call("symmetries", world.task["network"], input_shape=shape, num_classes=world.dataset.num_classes)
    for run in [each for each in runs.values() if not each.diverged][:1]:
        few = subset(world.dataset.train, _FEW, "align").x[:]
        check_axes(world.network, run.state, found, Normaliser(world.dataset, world.device)(few.to(world.device)))
    return found


def _masks(folders: list[Path], runs: dict[tuple[int, int], Trained], names: list[str]) -> dict[int, Mask]:
    """Read a mask a seed; all ones where nothing is pruned."""
    found: dict[int, Mask] = {}
    for folder in folders:
        masks, meta = artifacts.read_masks(folder / "mask.safetensors")
        found |= dict(zip(meta["spec"]["seeds"], masks, strict=True))
    whole = {seed: ones({name: run.state.params[name].shape for name in names}) for (seed, _), run in runs.items()}
    return whole | found


def run(job: Job[Spec]) -> None:
    """Permute the second run of each pair, its mask with it. One of a pair with a diverged run stays as it is."""
    spec, world = job.spec, data.world(job)
    runs, names = trained(job.reads["states"], world.device)
    setting = _Setting(spec, world, _axes(world, runs))
    others = trained(job.reads["others"], world.device)[0] if "others" in job.reads else runs
    kept = _masks(job.reads.get("masks", []), others, names)
    which = {key: spec[key] for key in ("kind", "k", "level", "other_level", "alignment")} | {"task": spec["task"]["name"]}
    rows: list[dict[str, Any]] = []
    states: list[State] = []
    masks: list[Mask] = []
    for pair, (one, other) in zip(spec["pairs"], members(spec["pairs"]), strict=True):
        first, second = runs[one], others[other]
        lost = first.diverged or second.diverged
        found = None if lost else setting.match(first.state, second.state, pair)
        moves = found.moves if found else {}
        states.append(permuted_state(second.state, setting.axes, moves))
        masks.append(permuted_mask(kept[other[0]], setting.axes, moves))
        who = {"seed": one[0], "other_seed": other[0], "order_1": one[1], "order_2": other[1], "density": second.density}
        values = {key: getattr(found, key) if found else None for key in ("before", "after", "moved", "sweeps")}
        rows.append(which | who | keys(first, second) | values)
        log.info("aligned seed %d order %d to seed %d order %d by %s", *other, *one, spec["alignment"])
    artifacts.write_rows(job.folder / "alignments.parquet", rows)
    ends = [others[other] for _, other in members(spec["pairs"])]
    meta = job.meta(
        prunable=names, params=list(states[0].params), device=str(world.device), density=[each.density for each in ends],
        diverged=[row["before"] is None for row in rows],
        errors={split: [each.errors[split] for each in ends] for split in ("train", "test")},
    )  # fmt: skip
    artifacts.write_states(job.folder / "state.safetensors", states, meta)
    stacked = {name: np.stack([mask[name] for mask in masks]) for name in names}
    artifacts.write_arrays(job.folder / "mask.safetensors", stacked, job.meta(diverged=meta["diverged"]))
