"""Tables that are computed from tables: means with standard errors, onsets with intervals, networks at a glance.

Every public function takes the tables by name, and a spec, and returns the rows of the table of its own name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pipeline_lib import families
from pipeline_lib.columns import STABLE_BELOW
from pipeline_lib.rng import numpy_generator

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

Frames = dict[str, "pd.DataFrame"]
Rows = list[dict[str, Any]]

NUM_SAMPLES = 1000
MATCHING_WITHIN = 0.002  # G-11: two tenths of a percentage point, where the dense deviation is smaller
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
            | {"steps": task["steps"], "batch_size": task["batch_size"], "warmup": task["schedule"]["warmup"]}
            | {"accuracy": 1 - dense["test_error"].mean(), "accuracy_sd": dense["test_error"].std(), "num_seeds": len(dense)}
            | {"density": sparse.mean() if len(sparse) else None, "pruning": spec["pruning"][name]}
        )
    return rows


def _points(frames: Frames) -> pd.DataFrame:
    """Give each perturbed start's mean effective deviation and mean test accuracy by task, k and level."""
    sizes, runs = frames["perturbations"], frames["changed_runs"]
    key = ["task", "kind", "start", "k", "level", "seed"]
    pooled = sizes[(sizes["layer"] == "all") & (sizes["kind"] == "imp")]
    both = pooled[[*key, "deviation"]].merge(runs[[*key, "test_error"]], on=key).dropna()
    both = both.assign(accuracy=1 - both["test_error"], call=both["start"].str.partition(" | ")[2])
    both = both[~both["call"].str.contains("|", regex=False)]  # several changes have no size of their own
    return both.groupby(["task", "k", "level", "call"], as_index=False).agg(
        deviation=("deviation", "mean"), accuracy=("accuracy", "mean"), num_seeds=("seed", "nunique")
    )


def _correlation(points: pd.DataFrame, *name: str | int) -> dict[str, Any]:
    import numpy as np
    from scipy import stats

    x, y = points["deviation"].to_numpy(), points["accuracy"].to_numpy()
    found = stats.pearsonr(x, y)
    rng, samples = numpy_generator("bootstrap", *name), []
    for chosen in rng.integers(0, len(x), (NUM_SAMPLES, len(x))):
        if np.ptp(x[chosen]) > 0 and np.ptp(y[chosen]) > 0:
            samples.append(float(np.corrcoef(x[chosen], y[chosen])[0, 1]))
    low, high = np.quantile(samples, (0.025, 0.975))
    return {"r": float(found.statistic), "p": float(found.pvalue), "low": float(low), "high": float(high)}


def correlations(frames: Frames, spec: dict[str, Any]) -> Rows:
    """Correlate the effective deviation of perturbations with the accuracy that is left.

    The interval is a bootstrap over perturbations.

    Source: paper A, figure 8; perturbations and pooling are ambiguities A-X6 and A-X14.
    """
    rows: Rows = []
    for key, group in _points(frames).groupby(["task", "k", "level"], sort=True):
        task, k, level = _names(key)
        for name, points in (("paper", group[group["call"].isin(families.PAPER)]), ("all", group)):
            if len(points) >= 3 and points["deviation"].nunique() > 1 and points["accuracy"].nunique() > 1:
                who = {"task": task, "k": int(k), "level": level, "set": name, "num_perturbations": len(points)}
                found = _correlation(points, "correlations", task, k, level, name)
                rows.append(who | found | {"num_seeds": int(points["num_seeds"].min())})
    return rows


def smoothed(run: pd.DataFrame, column: str, window: int = 25) -> pd.Series:
    """Average a column of one run over the logged steps of a window of steps around each, by step; null rows do not count."""
    import numpy as np

    own = run.dropna(subset=[column]).sort_values("step")
    steps, values = own["step"].to_numpy(), own[column].to_numpy()
    near = np.abs(steps[:, None] - steps[None]) <= window // 2
    return own.set_index("step")[column] * 0 + (near @ values) / near.sum(1)


def _first_step(values: pd.Series, has: pd.Series) -> float:
    return float(values.index[has.to_numpy()].min()) if has.any() else _NOWHERE


def _run_events(run: pd.DataFrame) -> dict[str, float]:
    """Read the events off one run's telemetry; infinite where one does not happen."""
    accuracy = 1 - run.set_index("step")["test_error"].dropna()
    events = {f"test accuracy {share} %": _first_step(accuracy, accuracy >= share / 100) for share in (25, 50, 75, 90)}
    gradient, signs = smoothed(run, "gradient_norm"), run.set_index("step")["signs_changed"].dropna()
    settled = gradient[gradient.index >= gradient.index.max() / 2].mean()
    early = gradient[(gradient.index >= 10) & (gradient.index <= 1000)]
    lowest = float(early.index[int(early.to_numpy().argmin())]) if len(early) else _NOWHERE
    after = gradient[gradient.index >= lowest]
    first = smoothed(run, "gradient_norm", 5)
    # Half of the way from the first steps down to the level that gradients settle at.
    events["gradients no longer large"] = _first_step(first, first <= (first.iloc[0] + settled) / 2)
    events["gradient minimum"] = lowest
    events["gradients settled"] = _first_step(after, after >= 0.9 * settled)
    events["half of the sign changes"] = _first_step(signs, signs >= signs.iloc[-1] / 2)
    return events


def _event(task: str, event: str, of: str, steps: list[float]) -> dict[str, Any]:
    """Word one event: the median over seeds, and the earliest and latest; null beyond what was watched."""
    ordered = sorted(steps)
    values = dict(zip(("step", "low", "high"), (ordered[(len(ordered) - 1) // 2], ordered[0], ordered[-1]), strict=True))
    finite = {name: None if value == _NOWHERE else value for name, value in values.items()}
    return {"task": task, "event": event, "of": of, **finite, "num_seeds": len(steps)}


def timeline(frames: Frames, spec: dict[str, Any]) -> Rows:
    """Collect when things happen early in training, each measured. Source: paper A, figures 2 and A1."""
    import pandas as pd

    rows: Rows = []
    for task, own in frames["telemetry"].groupby("task", sort=True):
        sound = own[own.groupby("seed")["mean_magnitude"].transform("count") > 1]
        found = [_run_events(run) for _, run in sound.groupby("seed", sort=True)]
        rows += [_event(str(task), event, "telemetry", [events[event] for events in found]) for event in (found or [{}])[0]]
    for _, onset in frames["onsets"].iterrows() if "onsets" in frames else ():
        if onset["kind"] == "imp" and (onset["of"] == "matching" or onset["level"] == 0):
            what = "dense networks stable" if onset["of"] == "stability" else f"IMP matches at level {onset['level']}"
            step, low, high = (None if pd.isna(onset[name]) else float(onset[name]) for name in ("k", "low", "high"))
            who = {"task": onset["task"], "event": what, "of": "onsets", "num_seeds": int(onset["num_seeds"])}
            rows.append(who | {"step": step, "low": low, "high": high})
    if "curvature" in frames:
        for task, own in frames["curvature"].groupby("task", sort=True):
            steps = [_first_step(run["overlap"], run["overlap"] >= 0.5) for _, run in own.set_index("step").groupby("seed")]
            rows.append(_event(str(task), "half of the gradient in the top subspace", "curvature", steps))
    return rows
