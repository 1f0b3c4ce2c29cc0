"""Solution -> error and loss of what is left when more of its weights are pruned, without retraining."""

from __future__ import annotations

from typing import Any

from pipeline_lib.core import algebra
from pipeline_lib.core.rng import numpy_generator
from pipeline_lib.core.types import Mask, State
from pipeline_lib.pruning.selection import prune
from pipeline_lib.stages.support import data, masks
from pipeline_lib.store import artifacts, specs
from pipeline_lib.store.job import Job, log
from pipeline_lib.training.evaluation import evaluate

STAGE = {
    "cut": {
        "needs": "solution",
        "makes": "error of what is left when weights are pruned",
        "cluster": {"minutes": 60, "megabytes": 8000},
        "rate": "evaluation",
        "size": "cuts",
        "tables": {
            "cuts": {
                "of": ["the solution"],
                "columns": [
                    "task", "seed", "k", "level",
                    ["criterion", "string", "-", "magnitude or random; none for the solution itself"],
                    ["draw", "int64", "-", "number of the random draw, from 0"],
                    ["fraction", "double", "1", "share of the solution's surviving weights that is pruned, without retraining"],
                    ["distance", "double", "1", "L2 distance of the pruned network to the solution"],
                    ["train_error", "double", "1", "share of wrong predictions on the training split"],
                    ["train_loss", "double", "nats", "mean cross-entropy on the training split"],
                    "test_error", "test_loss",
                ],
            },
        },
    }
}  # fmt: skip


class Spec(specs.Solutions):
    """What is cut off solutions.

    Args:
        scope: within which scores are compared.
        fractions: shares of survivors to prune, by criterion.
        repeated: those of them that are pruned at random several times.
        draws: how often.
    """

    scope: str
    fractions: dict[str, list[float]]
    repeated: list[float]
    draws: int


_MEASURED = ("distance", "train_error", "train_loss", "test_error", "test_loss")


def ways(spec: Spec) -> list[tuple[str, float, int]]:
    """List criterion, share and draw of each cut; the first is none."""
    found = [("none", 0.0, 0)]
    for criterion, fractions in spec["fractions"].items():
        for fraction in fractions:
            num = spec["draws"] if criterion == "random" and fraction in spec["repeated"] else 1
            found += [(criterion, float(fraction), draw) for draw in range(num)]
    return found


def _pruned(job: Job[Spec], seed: int, state: State, mask: Mask, criterion: str, fraction: float, draw: int) -> State:
    """Prune one solution by a further share of its survivors; by "none" it stays what it is."""
    if criterion == "none":
        return state
    spec = job.spec
    weights = {name: artifacts.array(state.params[name]) for name in mask}
    name = (seed, spec["k"], spec["level"], str(fraction))
    rng = numpy_generator("cut", *name, *([draw] if draw else []))
    return algebra.masked(state, prune(criterion, {"weights": weights, "rng": rng}, mask, fraction, spec["scope"]))


def run(job: Job[Spec]) -> None:
    """Prune the solutions of a chunk of seeds and evaluate both whole splits; of a diverged one all is null."""
    spec, world = job.spec, data.world(job)
    dataset = world.dataset
    states, head = artifacts.read_states(job.file("state", "state.safetensors"))
    kept = masks.read(job, {name: states[0].params[name].shape for name in head["prunable"]})
    cuts = ways(spec)
    rows: list[dict[str, Any]] = []
    for i, (seed, _) in enumerate(head["spec"]["members"]):
        state, mask = states[i], kept.members[i]
        who = {"task": spec["task"]["name"], "seed": seed, "k": spec["k"], "level": spec["level"], "key": head["key"]}
        for criterion, fraction, draw in cuts:
            row = who | {"criterion": criterion, "draw": draw, "fraction": fraction} | dict.fromkeys(_MEASURED)
            if not head["diverged"][i]:
                left = _pruned(job, seed, state, mask, criterion, fraction, draw)
                there = algebra.moved(left, world.device)
                scores = [evaluate(world.network, there, part, dataset, world.numerics) for part in (dataset.train, dataset.test)]
                measured = [algebra.distance(state.params, left.params, mask), *(v for s in scores for v in (s.error, s.loss))]
                row |= dict(zip(_MEASURED, measured, strict=True))
            rows.append(row)
        log.info("pruned the solution of seed %d at level %d in %d ways", seed, spec["level"], len(cuts) - 1)
    artifacts.write_rows(job.folder / "cuts.parquet", rows)
