"""Solution -> eigenvalues of the Gram matrix of class means of the logits' gradients."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pipeline_lib.analysis.class_means import gram_values
from pipeline_lib.pruning.masks import num_kept
from pipeline_lib.stages.support import data, solutions
from pipeline_lib.store import artifacts, specs
from pipeline_lib.store.job import Job, log
from pipeline_lib.training.evaluation import chunks, subset

STAGE = {
    "class_means": {
        "group": "landscape",
        "needs": "solution",
        "makes": "what class means of gradients foretell of the spectrum",
        "cluster": {"minutes": 60, "megabytes": 16000},
        "rate": "evaluation",
        "size": [1e-3, "examples", "seeds"],
        "tables": {
            "class_means": {
                "of": ["the solution"],
                "columns": [
                    "task", "seed", "k", "level",
                    ["rank", "int64", "-", "from 1, the largest first"],
                    ["value", "double", "1", "eigenvalue of the Gram matrix of class means of the logits' gradients"],
                    "dimension", "num_examples",
                ],
            },
        },
    }
}  # fmt: skip


class Spec(specs.Solutions):
    """Class means of gradients at solutions; `examples` are training images."""

    examples: int


def run(job: Job[Spec]) -> None:
    """Measure a chunk of seeds; no rows of one that has diverged or has no weight left."""
    spec, world = job.spec, data.world(job)
    there, key = solutions.sound(job, world.device)
    train = subset(world.dataset.train, spec["examples"], "curvature")
    some = replace(world.dataset, train=train)
    rows: list[dict[str, Any]] = []
    for seed, (state, mask) in there.items():
        found = gram_values(world.network, state, chunks(train, some, world.numerics), list(mask), mask, some.num_classes)
        who = {"task": spec["task"]["name"], "seed": seed, "k": spec["k"], "level": spec["level"], "key": key}
        who |= {"dimension": num_kept(mask), "num_examples": len(train.y)}
        rows += [who | {"rank": i + 1, "value": value} for i, value in enumerate(found.tolist())]
        log.info("seed %d level %d: largest of the class means' eigenvalues %.3g", seed, spec["level"], found[0])
    artifacts.write_rows(job.folder / "class_means.parquet", rows)
