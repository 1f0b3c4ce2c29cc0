"""States and masks -> the share of signs that differ between two steps; without torch."""

from __future__ import annotations

from itertools import combinations
from typing import Any

from pipeline_lib.perturbations.support.context import survivors
from pipeline_lib.pruning.masks import ones
from pipeline_lib.store import artifacts, specs
from pipeline_lib.store.job import Job

STAGE = {
    "signs": {
        "group": "measurements",
        "needs": "states and masks",
        "makes": "signs that differ between steps",
        "seconds": 0.5,
        "tables": {
            "signs": {
                "of": ["the state at step_1", "the state at step_2"],
                "columns": [
                    "task", "seed",
                    ["step_1", "int64", "steps", "earlier step"],
                    ["step_2", "int64", "steps", "later step"],
                    ["scope", "string", "-", "all prunable weights, or the survivors of the ladder from this step, such as k500"],
                    "level",
                    ["changed", "double", "1", "share of the scope's weights whose signs differ between the two steps"],
                    ["num_weights", "int64", "1", "weights of the scope"],
                ],
            },
        },
    }
}  # fmt: skip


class Spec(specs.Seeds):
    """Signs at some steps of dense training.

    Args:
        name: of the task.
        steps: at which they are compared.
        level: whose masks are scopes.
        scopes: rewind steps of the ladders that these masks are from.
    """

    name: str
    steps: list[int]
    level: int
    scopes: list[int]


def run(job: Job[Spec]) -> None:
    """Compare the signs of a chunk of seeds at every two steps, over each scope."""
    spec = job.spec
    read = [artifacts.read_arrays(folder / "state.safetensors") for folder in job.reads["states"]]
    names, keys = read[0][1]["prunable"], [head["key"] for _, head in read]
    masks = [artifacts.read_masks(folder / "mask.safetensors")[0] for folder in job.reads.get("masks", [])]
    rows: list[dict[str, Any]] = []
    for i, seed in enumerate(spec["seeds"]):
        negative = [{name: arrays[f"params/{name}"][i] < 0 for name in names} for arrays, _ in read]
        scopes = {"all": (0, ones({name: negative[0][name].shape for name in names}))}
        scopes |= {f"k{k}": (spec["level"], found[i]) for k, found in zip(spec["scopes"], masks, strict=True)}
        for first, second in combinations(range(len(spec["steps"])), 2):
            for scope, (level, mask) in scopes.items():
                differ = survivors(negative[first], mask) != survivors(negative[second], mask)
                who = {"task": spec["name"], "seed": seed, "scope": scope, "level": level, "num_weights": differ.size}
                who |= {"step_1": spec["steps"][first], "step_2": spec["steps"][second]}
                who |= {"key": keys[first], "other_key": keys[second]}
                rows.append(who | {"changed": float(differ.mean()) if differ.size else None})
    artifacts.write_rows(job.folder / "signs.parquet", rows)
