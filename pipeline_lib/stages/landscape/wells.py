"""Planted quadratic wells -> how often random subspaces meet their sublevel sets; without torch."""

from __future__ import annotations

from typing import Any, TypedDict

import numpy as np

from pipeline_lib.analysis.wells import heights, long_tailed, probabilities, threshold
from pipeline_lib.core.rng import numpy_generator
from pipeline_lib.store import artifacts
from pipeline_lib.store.job import Job, log

STAGE = {
    "wells": {
        "group": "landscape",
        "needs": "planted quadratic wells",
        "makes": "how often random subspaces meet their sublevel sets",
        "seconds": 20.0,
        "tables": {
            "wells": {
                "columns": [
                    ["dimension", "int64", "1", "dimension of the quadratic well"],
                    ["distance", "double", "1", "R: distance of the subspace's centre to the minimum"],
                    ["epsilon", "double", "1", "height of the sublevel set"],
                    ["subspace", "int64", "1", "dimension of the random affine subspace"],
                    ["probability", "double", "1", "share of subspaces that meet the sublevel set"],
                    ["threshold", "double", "1", "dimension at which lemma 3.1 predicts the transition"],
                    ["num_trials", "int64", "1", "subspaces drawn"],
                ],
            },
        },
    }
}  # fmt: skip
SETTINGS = {
    "lemma": {
        "about": "planted quadratic wells, on which paper C's lemma is tried",
        "dimension": {
            "default": 500, "unit": "dimensions", "rule": "Annotated[int, In('[2, 1000000]')]", "meaning": "of the space",
        },
        "distances": {
            "default": [0.5, 1.0, 2.0, 4.0], "unit": "", "rule": "Annotated[Sequence[Positive], Items(1)]",
            "meaning": "of the subspaces' centre to the minimum",
        },
        "epsilon": {"default": 0.1, "unit": "", "rule": "Positive", "meaning": "height of the sublevel set above the minimum"},
        "trials": {"default": 200, "unit": "trials", "rule": "Count", "meaning": "draws of nested random subspaces"},
        "subspaces": {
            "default": 50, "unit": "dimensions", "rule": "Annotated[int, In('[2, 100000]')]",
            "meaning": "evenly spaced dimensions of subspaces",
        },
    }
}  # fmt: skip


class Spec(TypedDict):
    """Planted wells, as SETTINGS says."""

    dimension: int
    distances: list[float]
    epsilon: float
    trials: int
    subspaces: int


def run(job: Job[Spec]) -> None:
    """Measure the probability at evenly spaced dimensions, for each distance; all distances see the same draws."""
    spec = job.spec
    dimension, epsilon, trials = spec["dimension"], float(spec["epsilon"]), spec["trials"]
    values = long_tailed(dimension)
    lowest = np.stack([heights(values, numpy_generator("wells", dimension, trial)) for trial in range(trials)])
    subspaces = np.unique(np.linspace(0, dimension, spec["subspaces"]).round().astype(int))
    rows: list[dict[str, Any]] = []
    for distance in map(float, spec["distances"]):
        found, expected = probabilities(lowest, distance, epsilon), threshold(values, distance, epsilon)
        who = {"dimension": dimension, "distance": distance, "epsilon": epsilon, "num_trials": trials}
        rows += [who | {"subspace": int(d), "probability": float(found[d]), "threshold": expected} for d in subspaces]
        half = int(np.argmax(found >= 0.5))
        log.info("distance %g: half of the subspaces meet from dimension %d, predicted %.1f", distance, half, expected)
    artifacts.write_rows(job.folder / "wells.parquet", rows)
