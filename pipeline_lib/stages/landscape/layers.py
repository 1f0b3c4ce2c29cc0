"""Pairs of trained states -> error while one block at a time moves from the first to the second."""

from __future__ import annotations

from typing import Any

from pipeline_lib.analysis.paths import alphas, layerwise
from pipeline_lib.core.parameters import blocks
from pipeline_lib.stages.landscape.interpolate import keys, members, sound, trained
from pipeline_lib.stages.support import data
from pipeline_lib.store import artifacts, specs
from pipeline_lib.store.job import Job, log

STAGE = {
    "layers": {
        "group": "measurements",
        "needs": "pairs of states",
        "makes": "error while one block at a time moves",
        "each": "pairs",
        "cluster": {"minutes": 120, "megabytes": 8000},
        "rate": "evaluation",
        "size": [6, "alphas", "pairs"],
        "tables": {
            "layers": {
                "of": ["run 1", "run 2"],
                "columns": [
                    "task", "seed", "order_1", "order_2", "kind", "k", "level", "density", "split",
                    ["block", "string", "-", "part of the network that moves from run 1 to run 2; all others stay at run 1"],
                    ["start_error", "double", "1", "error of run 1"],
                    ["end_error", "double", "1", "error of run 1 with the block of run 2"],
                    ["max_error", "double", "1", "highest error on the way"],
                    ["rise", "double", "1", "max_error - start_error"],
                ],
            },
        },
    }
}  # fmt: skip


class Spec(specs.Pairs):
    """Lines along which one layer moves; `alphas` are points on each."""

    alphas: int


_MEASURED = ("start_error", "end_error", "max_error", "rise")


def run(job: Job[Spec]) -> None:
    """Follow each block of each pair of a chunk of seeds on the test split. A pair with a diverged run has no values."""
    spec, world = job.spec, data.world(job)
    runs, _ = trained(job.reads["states"], world.device)
    dataset, names, points = world.dataset, blocks(world.network), alphas(spec["alphas"])
    whole = sound(members(spec["pairs"]), {member for member, run in runs.items() if run.diverged})
    rows: list[dict[str, Any]] = []
    for seed, i, j in spec["pairs"]:
        first, second = runs[seed, i], runs[seed, j]
        who: dict[str, Any] = {
            "task": spec["task"]["name"],
            "seed": seed,
            "order_1": i,
            "order_2": j,
            "density": first.density,
            "split": "test",
        }
        who |= {key: spec[key] for key in ("kind", "k", "level")} | keys(first, second)
        if ((seed, i), (seed, j)) not in whole:
            rows += [who | {"block": name} | dict.fromkeys(_MEASURED) for name in names]
            continue
        found = layerwise(world.network, first.state, second.state, points, dataset.test, dataset, world.numerics)
        for name, scores in found.items():
            errors = [score.error for score in scores]  # from the first run (alpha = 0) to its block from the second
            values = (errors[0], errors[-1], max(errors), max(errors) - errors[0])
            rows.append(who | {"block": name} | dict(zip(_MEASURED, values, strict=True)))
        log.info("moved %d blocks between orders %d and %d of seed %d", len(names), i, j, seed)
    artifacts.write_rows(job.folder / "layers.parquet", rows)
