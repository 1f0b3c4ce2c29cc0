"""Pairs of trained states -> error and loss along the line between them, and their distances."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import torch

from pipeline_lib.analysis.paths import Ends, alphas, distances, paths, recomputed_paths, summarise, with_midpoint
from pipeline_lib.analysis.repair import repaired_paths
from pipeline_lib.core import algebra
from pipeline_lib.core.types import State
from pipeline_lib.pruning.masks import density
from pipeline_lib.stages.support import data
from pipeline_lib.store import artifacts, specs
from pipeline_lib.store.job import Job, log
from pipeline_lib.training.evaluation import Score

STAGE = {
    "interpolate": {
        "needs": "pairs of states",
        "makes": "error along the line between them",
        "each": "pairs",
        "cluster": {"minutes": 60, "megabytes": 8000},
        "rate": "evaluation",
        "size": ["alphas", "pairs", "splits"],
        "tables": {
            "interpolation": {
                "of": ["run 1", "run 2"],
                "columns": [
                    "task", "seed", "other_seed", "order_1", "order_2", "alignment", "kind", "k", "level", "density",
                    ["alpha", "double", "1", "position on the line: alpha W_1 + (1 - alpha) W_2"],
                    "split", "batchnorm", "error", "loss",
                ],
            },
            "instability": {
                "of": ["run 1", "run 2"],
                "columns": [
                    "task", "seed", "other_seed", "order_1", "order_2", "alignment", "kind", "k", "level", "density", "split",
                    "batchnorm",
                    "mean_end_error", "max_error", "instability", "barrier", "loss_barrier", "midpoint_error",
                    "headroom", "headroom_share", "stable",
                    ["onset", "bool", "-", "k is the first from which networks are stable at all later ones too, by their means"],
                ],
            },
            "distances": {
                "of": ["run 1", "run 2"],
                "columns": [
                    "task", "seed", "other_seed", "order_1", "order_2", "alignment", "kind", "k", "level", "density", "l2_params",
                    "l2_weights",
                ],
            },
        },
    }
}  # fmt: skip


class Spec(specs.Pairs):
    """Lines between pairs of runs.

    Args:
        alphas: points on each line.
        splits: where they are evaluated.
        batchnorm: how BatchNorm's statistics come about on the way.
        alignment: what the second run of each pair was permuted by; `none` if it is as it was trained.
    """

    alphas: int
    splits: list[str]
    batchnorm: list[str]
    alignment: str


NOTHING = dict.fromkeys(field.name for field in fields(Ends))  # what a diverged run leaves of a pair
Name = TypeVar("Name", tuple[int, int], int)
_PATHS = {"averaged": paths, "recomputed": recomputed_paths, "repaired": repaired_paths}
_SAME = 0.005  # an end's error may differ by so much from the run's own: the rounding of another device, no more


@dataclass(frozen=True)
class Trained:
    """One run as its artifact says; `errors` by split are None if it diverged."""

    key: str
    state: State
    density: float
    diverged: bool
    errors: dict[str, float | None]


def trained(
    folders: list[Path], place: torch.device, seed: int | None = None
) -> tuple[dict[tuple[int, int], Trained], list[str]]:
    """Read all runs, or those of one seed, by (seed, order), onto a device, and the names of prunable tensors."""
    runs, names = {}, []
    for folder in folders:
        members, meta = artifacts.read_states(folder / "state.safetensors")
        names = meta["prunable"]
        for i, (own, order) in enumerate(meta["spec"]["members"]):
            if seed in (None, own):
                errors = {split: meta["errors"][split][i] for split in ("train", "test")}
                state = algebra.moved(members[i], place)
                runs[own, order] = Trained(meta["key"], state, meta["density"][i], meta["diverged"][i], errors)
    return runs, names


def projected(run: Trained, folder: Path, seed: int) -> Trained:
    """Prune a run by a seed's mask, without training it any further. It was never measured, so it has no errors of its own."""
    masks, meta = artifacts.read_masks(folder / "mask.safetensors")
    i = meta["spec"]["seeds"].index(seed)
    return Trained(run.key, algebra.masked(run.state, masks[i]), density(masks[i]), run.diverged or meta["diverged"][i], {})


def check_end(run: Trained, split: str, score: Score) -> None:
    """Check that the end of a path is the run itself: its error in eval mode, as it was measured after training.

    Raises:
        ValueError: it is not, as when an end is evaluated in train mode or the states are mixed up.
    """
    own = run.errors[split]
    if own is None or abs(own - score.error) > _SAME:
        raise ValueError(f"end of a path must have its run's {split} error {own}, got {score.error}; train the run again")


def check_apart(order_1: int, order_2: int, distance: float) -> None:
    """Check that two runs are two.

    Raises:
        ValueError: their weights are equal, so that any path between them would look stable.
    """
    if distance == 0:
        raise ValueError(f"runs of orders {order_1} and {order_2} must differ, got equal weights; give them different orders")


def path_rows(
    label: dict[str, Any], weights: list[float], scores: list[Score] | None, asked: list[float]
) -> list[dict[str, Any]]:
    """Make a row of each alpha that was asked for, without values where there are no scores."""
    values = [(score.error, score.loss) for score in scores] if scores else [(None, None)] * len(weights)
    found = zip(weights, values, strict=True)
    return [label | {"alpha": alpha, "error": error, "loss": loss} for alpha, (error, loss) in found if alpha in asked]


def keys(first: Trained, second: Trained) -> dict[str, str]:
    """Say where the two networks of a pair lie."""
    return {"key": first.key, "other_key": second.key}


def members(pairs: Sequence[Sequence[int]]) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Name the two runs of each pair (seed, order, order, perhaps another seed) as `trained` does: (seed, order)."""
    return [((seed, i), (other[0] if other else seed, j)) for seed, i, j, *other in pairs]


def sound(pairs: Sequence[tuple[Name, Name]], lost: Container[Name]) -> list[tuple[Name, Name]]:
    """List the pairs that can be measured: those of which neither network has diverged.

    Args:
        pairs: names of two networks each.
        lost: names of those that have.
    """
    return [(one, other) for one, other in pairs if one not in lost and other not in lost]


def _aligned(job: Job[Spec], ends: list[tuple[int, int]], networks: list[Trained]) -> list[tuple[int, int]]:
    """Add the permuted second run of each pair to the networks, and number it instead of the run itself."""
    if job.spec["alignment"] == "none":
        return ends
    states, meta = artifacts.read_states(job.file("aligned", "state.safetensors"))
    for (_, j), state, lost in zip(ends, states, meta["diverged"], strict=True):
        there = algebra.moved(state, next(iter(networks[j].state.params.values())).device)
        networks.append(replace(networks[j], state=there, diverged=lost))
    first = len(networks) - len(ends)
    return [(i, first + n) for n, (i, _) in enumerate(ends)]


def _who(spec: Spec, both: list[tuple[Trained, Trained]]) -> list[dict[str, Any]]:
    """Say of each pair which it is."""
    common: dict[str, Any] = {key: spec[key] for key in ("kind", "k", "level", "alignment")} | {"task": spec["task"]["name"]}
    return [
        common
        | {"seed": one[0], "other_seed": other[0], "order_1": one[1], "order_2": other[1], "density": pair[0].density}
        | keys(*pair)
        for pair, (one, other) in zip(both, members(spec["pairs"]), strict=True)
    ]


def _distances(who: list[dict[str, Any]], both: list[tuple[Trained, Trained]], names: list[str]) -> list[dict[str, Any]]:
    """Say how far apart each pair is."""
    apart = []
    for each, (one, other) in zip(who, both, strict=True):
        gap = distances(one.state, other.state, names)
        if each["alignment"] == "none" and not one.diverged and not other.diverged:
            check_apart(each["order_1"], each["order_2"], gap.params)
        apart.append(each | {"l2_params": gap.params, "l2_weights": gap.weights})
    return apart


def run(job: Job[Spec]) -> None:
    """Compare the pairs of a chunk of seeds on each split. A pair with a diverged run has no values."""
    spec, world = job.spec, data.world(job)
    runs, names = trained(job.reads["states"], world.device)
    numbers, asked = {member: i for i, member in enumerate(runs)}, alphas(spec["alphas"])
    points = with_midpoint(asked)  # the midpoint is a column of its own, and no row if it is not asked for
    networks = list(runs.values())
    ends = _aligned(job, [(numbers[one], numbers[other]) for one, other in members(spec["pairs"])], networks)
    states = [each.state for each in networks]
    whole = sound(ends, {i for i, each in enumerate(networks) if each.diverged})
    both = [(networks[i], networks[j]) for i, j in ends]
    who = _who(spec, both)
    lines: list[dict[str, Any]] = []
    sums: list[dict[str, Any]] = []
    for split in spec["splits"]:
        for batchnorm in spec["batchnorm"]:
            found = _PATHS[batchnorm](world.network, states, whole, points, world.split(split), world.dataset, world.numerics)
            log.info("interpolated %d pairs on the %s split, BatchNorm %s", len(whole), split, batchnorm)
            for each, pair in zip(who, ends, strict=True):
                label = each | {"split": split, "batchnorm": batchnorm}
                lines += path_rows(label, points, found.get(pair), asked)
                sums.append(label | (asdict(summarise(points, found[pair], spec["alphas"])) if pair in found else NOTHING))
                for end, score in zip(reversed(pair), (found[pair][0], found[pair][-1]) if pair in found else (), strict=False):
                    if batchnorm == "averaged":
                        check_end(networks[end], split, score)
    for name, rows in (("interpolation", lines), ("instability", sums), ("distances", _distances(who, both, names))):
        artifacts.write_rows(job.folder / f"{name}.parquet", rows)
