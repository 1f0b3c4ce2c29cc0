"""Pairs of trained states -> error and loss along the line between them, and their distances."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch

from pipeline_lib.analysis.paths import Ends, alphas, distances, paths, recomputed_paths, summarise, with_midpoint
from pipeline_lib.core import algebra
from pipeline_lib.core.types import State
from pipeline_lib.pruning.masks import density
from pipeline_lib.stages import data
from pipeline_lib.stages.training import numerics
from pipeline_lib.store import artifacts, device
from pipeline_lib.store.job import Job, log
from pipeline_lib.training.evaluation import Score

STAGE = {
    "interpolate": {
        "group": "measurements",
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
                    "task", "seed", "order_1", "order_2", "kind", "k", "level", "density",
                    ["alpha", "double", "1", "position on the line: alpha W_1 + (1 - alpha) W_2"],
                    "split", "batchnorm", "error", "loss",
                ],
            },
            "instability": {
                "of": ["run 1", "run 2"],
                "columns": [
                    "task", "seed", "order_1", "order_2", "kind", "k", "level", "density", "split", "batchnorm",
                    "mean_end_error", "max_error", "instability", "barrier", "loss_barrier", "midpoint_error",
                    ["stable", "bool", "-", "instability is below 0.02"],
                    ["onset", "bool", "-", "k is the smallest one whose mean instability over all pairs is below 0.02"],
                ],
            },
            "distances": {
                "of": ["run 1", "run 2"],
                "columns": ["task", "seed", "order_1", "order_2", "kind", "k", "level", "density", "l2_params", "l2_weights"],
            },
        },
    }
}  # fmt: skip

NOTHING = dict.fromkeys(field.name for field in fields(Ends))  # what a diverged run leaves of a pair
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
    arrays, meta = artifacts.read_arrays(folder / "mask.safetensors")
    i = meta["spec"]["seeds"].index(seed)
    mask = {name: array[i] for name, array in arrays.items()}
    return Trained(run.key, algebra.masked(run.state, mask), density(mask), run.diverged or meta["diverged"][i], {})


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


def run(job: Job) -> None:
    """Compare the pairs of a chunk of seeds on each split. A pair with a diverged run has no values."""
    spec, place = job.spec, device.pick(numerics(job.spec["task"]))
    dataset, how = data.read(job, place), numerics(job.spec["task"])
    network = data.build(spec["task"], dataset)
    runs, names = trained(job.reads["states"], place)
    members, asked = list(runs), alphas(spec["alphas"])
    points = with_midpoint(asked)  # the midpoint is a column of its own, and no row if it is not asked for
    states = [each.state for each in runs.values()]
    ends = [(members.index((s, i)), members.index((s, j))) for s, i, j in spec["pairs"]]
    sound = [pair for pair in ends if not any(runs[members[i]].diverged for i in pair)]
    who = [{"task": spec["task"]["name"], "seed": s, "order_1": i, "order_2": j} for s, i, j in spec["pairs"]]
    which = {key: spec[key] for key in ("kind", "k", "level")}
    both = [(runs[members[i]], runs[members[j]]) for i, j in ends]
    who = [each | which | {"density": pair[0].density} | keys(*pair) for each, pair in zip(who, both, strict=True)]
    apart: list[dict[str, Any]] = []
    for each, (i, j) in zip(who, ends, strict=True):
        gap = distances(states[i], states[j], names)
        if (i, j) in sound:
            check_apart(each["order_1"], each["order_2"], gap.params)
        apart.append(each | {"l2_params": gap.params, "l2_weights": gap.weights})
    lines: list[dict[str, Any]] = []
    sums: list[dict[str, Any]] = []
    for split in spec["splits"]:
        for batchnorm in spec["batchnorm"]:
            evaluate = paths if batchnorm == "averaged" else recomputed_paths
            found = evaluate(network, states, sound, points, getattr(dataset, split), dataset, how)
            log.info("interpolated %d pairs on the %s split, BatchNorm %s", len(sound), split, batchnorm)
            for each, pair in zip(who, ends, strict=True):
                label = each | {"split": split, "batchnorm": batchnorm}
                lines += path_rows(label, points, found.get(pair), asked)
                sums.append(label | (asdict(summarise(points, found[pair], spec["alphas"])) if pair in found else NOTHING))
                for end, score in zip(reversed(pair), (found[pair][0], found[pair][-1]) if pair in found else (), strict=False):
                    if batchnorm == "averaged":
                        check_end(runs[members[end]], split, score)
    for name, rows in (("interpolation", lines), ("instability", sums), ("distances", apart)):
        artifacts.write_rows(job.folder / f"{name}.parquet", rows)
