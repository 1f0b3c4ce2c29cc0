"""Pairs of trained states -> how alike the outputs of each block are, by linear centred kernel alignment."""

from __future__ import annotations

from math import isfinite, nan
from typing import Any

from pipeline_lib.analysis.similarity import linear_cka, representations
from pipeline_lib.core.parameters import blocks
from pipeline_lib.stages.landscape.interpolate import keys, members, sound, trained
from pipeline_lib.stages.support import data
from pipeline_lib.store import artifacts, specs
from pipeline_lib.store.job import Job, log
from pipeline_lib.training.evaluation import subset

STAGE = {
    "similarity": {
        "group": "measurements",
        "needs": "pairs of states",
        "makes": "how alike the outputs of each block are",
        "each": "pairs",
        "cluster": {"minutes": 60, "megabytes": 8000},
        "rate": "evaluation",
        "size": [2e-4, "examples", "pairs"],
        "tables": {
            "similarity": {
                "of": ["run 1", "run 2"],
                "columns": [
                    "task", "seed", "order_1", "order_2", "kind", "k", "level", "density",
                    ["block", "string", "-", "part of the network whose outputs are compared"],
                    ["cka", "double", "1", "linear centred kernel alignment of the outputs: 1 if one is the other turned"],
                    ["num_examples", "int64", "1", "test images that it is measured on"],
                ],
            },
        },
    }
}  # fmt: skip
SETTINGS = {
    "similarity": {
        "about": "how alike two runs see images: linear centred kernel alignment, block by block",
        "examples": {"default": 500, "unit": "images", "rule": "Examples", "meaning": "test images whose outputs are compared"},
    }
}  # fmt: skip


class Spec(specs.Pairs):
    """Pairs whose outputs are compared; `examples` are test images."""

    examples: int


def run(job: Job[Spec]) -> None:
    """Compare the pairs of a chunk of seeds on the same test images. A pair with a diverged run has no values."""
    spec, world = job.spec, data.world(job)
    some = subset(world.split("test"), spec["examples"], "similarity")
    runs, _ = trained(job.reads["states"], world.device)
    pairs = members(spec["pairs"])
    whole = sound(pairs, {at for at, one in runs.items() if one.diverged})
    given = {
        at: representations(world.network, runs[at].state, some, world.dataset, world.numerics)
        for at in dict.fromkeys(at for pair in whole for at in pair)
    }
    rows: list[dict[str, Any]] = []
    for (seed, i, j), (one, other) in zip(spec["pairs"], pairs, strict=True):
        first, second = runs[one], runs[other]
        who = {"task": spec["task"]["name"], "seed": seed, "order_1": i, "order_2": j, "density": first.density}
        who |= {key: spec[key] for key in ("kind", "k", "level")} | keys(first, second) | {"num_examples": len(some.y)}
        for block in blocks(world.network):
            alike = linear_cka(given[one][block], given[other][block]) if (one, other) in whole else nan
            rows.append(who | {"block": block, "cka": alike if isfinite(alike) else None})
    log.info("compared %d pairs on %d images", len(spec["pairs"]), len(some.y))
    artifacts.write_rows(job.folder / "similarity.parquet", rows)
