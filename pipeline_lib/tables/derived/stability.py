"""Means with standard errors, onsets with intervals, networks at a glance."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pipeline_lib.core.definitions import MATCHING_WITHIN, STABLE_BELOW
from pipeline_lib.core.rng import numpy_generator

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

TABLES = {
    "means": {
        "from": ["instability"],
        "columns": [
            "task", "kind", "k", "level", "density", "split", "batchnorm",
            ["instability", "double", "1", "mean over all pairs"],
            ["deviation", "double", "1", "standard deviation over all pairs"],
            ["error", "double", "1", "standard error: deviation / sqrt(num_pairs), as if pairs were independent"],
            ["seed_error", "double", "1", "standard error of the mean over seeds, which does not assume that"],
            ["num_pairs", "int64", "1", "pairs"],
            "num_seeds",
        ],
    },
    "onsets": {
        "from": ["instability", "runs"],
        "columns": [
            "task", "kind", "level",
            ["of", "string", "-", "stability (test instability below 0.02) or matching (accuracy of dense less sd or 0.002)"],
            ["k", "int64", "steps", "smallest rewind step of the grid with the property; null if none has it"],
            ["low", "int64", "steps", "2.5 % quantile of k over bootstrap samples of seeds; null beyond the grid"],
            ["high", "int64", "steps", "97.5 % quantile of k over bootstrap samples of seeds; null beyond the grid"],
            ["found", "double", "1", "share of bootstrap samples in which a step of the grid has the property"],
            "num_seeds",
        ],
    },
    "networks": {
        "from": ["runs"],
        "asks": ["tasks", "sparse_levels", "pruning"],
        "columns": [
            "task",
            ["network", "string", "-", "name of the network function"],
            ["dataset", "string", "-", "name of the data set"],
            ["num_params", "int64", "1", "trainable parameters"],
            ["steps", "int64", "steps", "length of training"],
            ["batch_size", "int64", "1", "examples a batch"],
            ["optimiser", "string", "-", "name of the optimiser"],
            ["lr", "double", "1", "peak learning rate"],
            ["schedule", "string", "-", "name of the schedule"],
            ["warmup", "int64", "steps", "length of the linear warm-up"],
            ["accuracy", "double", "1", "mean test accuracy of the dense network over seeds"],
            ["accuracy_sd", "double", "1", "its standard deviation"],
            "num_seeds",
            ["density", "double", "1", "share of weights left at the sparse level; null without one"],
            ["pruning", "string", "-", "iterative or one-shot"],
        ],
    },
}  # fmt: skip

Frames = dict[str, "pd.DataFrame"]
Rows = list[dict[str, Any]]

NUM_SAMPLES = 1000
_NOWHERE = float("inf")


def means(frames: Frames, spec: dict[str, Any]) -> Rows:
    """Average instability over the pairs of each setting, with both standard errors."""
    setting = ["task", "kind", "k", "level", "split", "batchnorm"]
    rows = []
    for key, group in frames["instability"].groupby(setting, sort=True):
        values, by_seed = group["instability"], group.groupby("seed")["instability"].mean()
        rows.append(
            dict(zip(setting, key, strict=True))
            | {"density": group["density"].mean(), "instability": values.mean(skipna=False), "deviation": values.std()}
            | {"error": values.std() / len(values) ** 0.5, "seed_error": by_seed.std() / len(by_seed) ** 0.5}
            | {"num_pairs": len(values), "num_seeds": len(by_seed)}
        )
    return rows


def _by_seed(frame: pd.DataFrame, value: str) -> tuple[list[int], np.ndarray]:
    """Average a value by rewind step and seed: the steps, and an array (steps, seeds); infinite where one is missing."""
    table = frame.groupby(["k", "seed"])[value].mean().unstack("seed").fillna(_NOWHERE)
    return table.index.tolist(), table.to_numpy()


def _first(steps: list[int], good: np.ndarray) -> float:
    return next((float(k) for k, has in zip(steps, good, strict=True) if has), _NOWHERE)


def _onset(steps: list[int], values: np.ndarray, is_good: Callable[[np.ndarray], np.ndarray], *name: str | int) -> dict[str, Any]:
    """Find the first good step, and bootstrap it over seeds.

    Args:
        steps: the grid of rewind steps, ascending.
        values: (steps, seeds).
        is_good: means over seeds, (steps,) -> whether each has the property.
        name: of the random draw.
    """
    import numpy as np

    num_seeds = values.shape[1]
    chosen = numpy_generator("bootstrap", *name).integers(0, num_seeds, (NUM_SAMPLES, num_seeds))
    samples = np.sort([_first(steps, is_good(values[:, sample].mean(1))) for sample in chosen])
    low, high = (samples[int(share * (NUM_SAMPLES - 1))] for share in (0.025, 0.975))
    whole = _first(steps, is_good(values.mean(1)))
    k, low, high = (None if step == _NOWHERE else int(step) for step in (whole, low, high))
    return {"k": k, "low": low, "high": high, "found": float(np.isfinite(samples).mean()), "num_seeds": num_seeds}


def _names(key: Any) -> tuple[str, str, int]:
    task, kind, level = key
    return str(task), str(kind), int(level)


def onsets(frames: Frames, spec: dict[str, Any]) -> Rows:
    """Estimate from which rewind step networks are stable, and from which sparse ones match the dense network.

    Source: paper B, sections 3 and 4; rules of ambiguities G-10 and G-11; intervals by the bootstrap over seeds.
    """
    rows: Rows = []
    pairs = frames["instability"]
    pairs = pairs[(pairs["split"] == "test") & (pairs["batchnorm"] == "averaged")]
    for key, group in pairs.groupby(["task", "kind", "level"], sort=True):
        task, kind, level = _names(key)
        found = _onset(*_by_seed(group, "instability"), lambda mean: mean < STABLE_BELOW, "stability", task, kind, level)
        rows.append({"task": task, "kind": kind, "level": level, "of": "stability"} | found)
    own = frames["runs"][frames["runs"]["order"] == frames["runs"]["order"].min()]
    for key, group in own[own["level"] > 0].groupby(["task", "kind", "level"], sort=True):
        task, kind, level = _names(key)
        dense = own[(own["task"] == task) & (own["level"] == 0)]
        error = dense[dense["k"] == dense["k"].min()]["test_error"]
        most = error.mean() + max(error.std() if len(error) > 1 else 0.0, MATCHING_WITHIN)
        steps, values = _by_seed(group, "test_error")
        found = _onset(steps, values, lambda mean, most=most: mean <= most, "matching", task, kind, level)  # type: ignore[misc]
        rows.append({"task": task, "kind": kind, "level": level, "of": "matching"} | found)
    return rows


def networks(frames: Frames, spec: dict[str, Any]) -> Rows:
    """List networks and recipes with the dense accuracy that was measured. Source: paper B, Table 1."""
    rows = []
    for name, task in spec["tasks"].items():
        runs = frames["runs"][frames["runs"]["task"] == name]
        dense = runs[(runs["level"] == 0) & (runs["k"] == runs["k"].min()) & (runs["order"] == runs["order"].min())]
        sparse = runs[(runs["level"] == spec["sparse_levels"][name]) & (runs["level"] > 0)]["density"]
        parts = {part: task[part]["name"] for part in ("network", "dataset", "optimiser", "schedule")}
        rows.append(
            {"task": name, "num_params": int(dense["num_params"].iloc[0]), "lr": float(task["optimiser"]["lr"]), **parts}
            | {"steps": task["steps"], "batch_size": task["batch_size"], "warmup": task["schedule"].get("warmup", 0)}
            | {"accuracy": 1 - dense["test_error"].mean(), "accuracy_sd": dense["test_error"].std(), "num_seeds": len(dense)}
            | {"density": sparse.mean() if len(sparse) else None, "pruning": spec["pruning"][name]}
        )
    return rows
