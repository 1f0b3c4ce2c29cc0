"""Means with standard errors, onsets with intervals, networks at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline_lib.core.definitions import STABLE_BELOW
from pipeline_lib.tables import rules
from pipeline_lib.tables.derived._onsets import by_seed, matching, onset

if TYPE_CHECKING:
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
            ["with_own", "double", "1", "mean over the pairs that have the ladder's own run; null for none"],
            ["without_own", "double", "1", "mean over the other pairs, which have no run of a ladder; null for none"],
            "headroom", "headroom_share", "stable",
            ["num_pairs", "int64", "1", "pairs that were asked for"],
            ["num_known", "int64", "1", "of them pairs with a value; where a run diverged, means and errors are null"],
            "num_seeds",
        ],
    },
    "onsets": {
        "from": ["instability", "runs"],
        "columns": [
            "task", "kind", "level",
            ["of", "string", "-", "stability (mean over pairs, as `stable`) or matching (error of dense plus sd or 0.002)"],
            ["k", "int64", "steps", "first rewind step from which all later ones have the property; null if the last has not"],
            ["first_k", "int64", "steps", "first rewind step with the property, whatever later ones do; null if none has it"],
            ["before", "int64", "steps", "last rewind step of the grid before k, so that the onset lies between; null for none"],
            ["low", "int64", "steps", "lower end of the interval of k over seeds; null beyond the grid"],
            ["high", "int64", "steps", "upper end of the interval of k over seeds; null beyond the grid"],
            ["interval", "string", "-", "95 % bootstrap over seeds, of dense and sparse together; below 5 seeds their range"],
            ["found", "double", "1", "share of resamples of seeds in which a step of the grid has the property"],
            "num_seeds",
        ],
    },
    "networks": {
        "from": ["runs"],
        "with": ["curves", "validation"],
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
            ["late_accuracy", "double", "1", "mean test accuracy over the last quarter of training: less noisy than at its end"],
            ["late_sd", "double", "1", "its standard deviation over seeds"],
            ["best_accuracy", "double", "1", "mean over seeds of the best test accuracy during training; optimistic"],
            ["best_sd", "double", "1", "its standard deviation"],
            ["validated_accuracy", "double", "1", "mean test accuracy at the step that held-out images choose; null without"],
            ["validated_sd", "double", "1", "its standard deviation"],
            "num_seeds",
            ["density", "double", "1", "share of prunable weights left at the sparse level; null without one"],
            ["density_all", "double", "1", "share of all parameters left there, never pruned ones included; null without one"],
            ["pruning", "string", "-", "iterative or one-shot"],
        ],
    },
}  # fmt: skip

Frames = dict[str, "pd.DataFrame"]
Rows = list[dict[str, Any]]


def means(frames: Frames, spec: dict[str, Any]) -> Rows:
    """Average instability over the pairs of each setting, with both standard errors; null where a pair has no value."""
    setting = ["task", "kind", "k", "level", "split", "batchnorm"]
    rows, first = [], frames["instability"].groupby("task")["order_1"].min()
    for key, group in frames["instability"].groupby(setting, sort=True):
        values, seeds = group["instability"], group.groupby("seed")["instability"]
        mean, by_seed = values.mean(skipna=False), seeds.agg(lambda own: own.mean(skipna=False))
        deviation, headroom = values.std(skipna=False), group["headroom"].mean(skipna=False)
        own = (group[["order_1", "order_2"]] == first[str(key[0])]).any(axis=1)
        rows.append(
            dict(zip(setting, key, strict=True))
            | {"density": group["density"].mean(), "instability": mean, "deviation": deviation}
            | {"error": deviation / len(values) ** 0.5, "seed_error": by_seed.std(skipna=False) / len(by_seed) ** 0.5}
            | {"with_own": values[own].mean(skipna=False), "without_own": values[~own].mean(skipna=False)}
            | {"headroom": headroom, "headroom_share": mean / headroom if headroom > 0 else None}
            | {"stable": rules.is_stable(group), "num_pairs": len(values), "num_known": int(values.count())}
            | {"num_seeds": len(by_seed)}
        )
    return rows


def _stability(group: pd.DataFrame, *name: str | int) -> dict[str, Any]:
    table = by_seed(rules.counted(group), group)
    values = table.to_numpy()
    return onset(table, lambda samples: values[:, samples].mean(-1) < STABLE_BELOW, "stability", *name)


def _names(key: Any) -> tuple[str, str, int]:
    task, kind, level = key
    return str(task), str(kind), int(level)


def onsets(frames: Frames, spec: dict[str, Any]) -> Rows:
    """Estimate from which rewind step networks are stable, and from which sparse ones match the dense network.

    Source: paper B, sections 3 and 4; rules of ambiguities G-10 and G-11; intervals by resampling seeds.
    """
    rows: Rows = []
    pairs = frames["instability"]
    pairs = pairs[(pairs["split"] == "test") & (pairs["batchnorm"] == "averaged")]
    for key, group in pairs.groupby(["task", "kind", "level"], sort=True):
        task, kind, level = _names(key)
        who = {"task": task, "kind": kind, "level": level, "of": "stability"}
        rows.append(who | _stability(group, task, kind, level))
    runs, dense = frames["runs"], rules.dense(frames["runs"])
    own = runs[(runs["noise_order"] == runs.groupby("task")["noise_order"].transform("min")) & (runs["level"] > 0)]
    for key, group in own.groupby(["task", "kind", "level"], sort=True):
        task, kind, level = _names(key)
        who = {"task": task, "kind": kind, "level": level, "of": "matching"}
        rows.append(who | matching(group, dense[dense["task"] == task], task, kind, level))
    return rows


def _during(curves: pd.DataFrame | None, task: str, steps: int) -> dict[str, float | None]:
    """Sum up the dense reference's test accuracy during training, a value a seed."""
    if curves is None:
        return dict.fromkeys(("late_accuracy", "late_sd", "best_accuracy", "best_sd"))
    own = rules.dense(curves[(curves["task"] == task) & (curves["split"] == "test")])
    accuracy = 1 - own["error"]
    late = accuracy[own["step"] > 0.75 * steps].groupby(own["seed"]).mean()
    best = accuracy.groupby(own["seed"]).max()
    return {"late_accuracy": late.mean(), "late_sd": late.std(), "best_accuracy": best.mean(), "best_sd": best.std()}


def _validated(frame: pd.DataFrame | None, task: str) -> dict[str, float | None]:
    """Sum up the test accuracy at the steps that held-out images choose."""
    if frame is None:
        return {"validated_accuracy": None, "validated_sd": None}
    accuracy = 1 - frame[(frame["task"] == task) & frame["chosen"]]["test_error"]
    return {"validated_accuracy": accuracy.mean(), "validated_sd": accuracy.std()}


def networks(frames: Frames, spec: dict[str, Any]) -> Rows:
    """List networks and recipes with the dense accuracy that was measured. Source: paper B, Table 1."""
    rows = []
    for name, task in spec["tasks"].items():
        runs = frames["runs"][frames["runs"]["task"] == name]
        dense = rules.dense(runs)
        sparse = runs[(runs["level"] == spec["sparse_levels"][name]) & (runs["level"] > 0) & (runs["num_kept"] > 0)]
        unpruned = 1 - sparse["num_kept"] / sparse["density"] / sparse["num_params"]  # biases, norms, a head
        whole = sparse["num_kept"] / sparse["num_params"] + unpruned
        parts = {part: task[part]["name"] for part in ("network", "dataset", "optimiser", "schedule")}
        rows.append(
            {"task": name, "num_params": int(dense["num_params"].iloc[0]), "lr": float(task["optimiser"]["lr"]), **parts}
            | {"steps": task["steps"], "batch_size": task["batch_size"], "warmup": task["schedule"].get("warmup", 0)}
            | {"accuracy": 1 - dense["test_error"].mean(), "accuracy_sd": dense["test_error"].std(), "num_seeds": len(dense)}
            | _during(frames.get("curves"), name, task["steps"])
            | _validated(frames.get("validation"), name)
            | {"density": sparse["density"].mean() if len(sparse) else None}
            | {"density_all": whole.mean() if len(sparse) else None, "pruning": spec["pruning"][name]}
        )
    return rows
