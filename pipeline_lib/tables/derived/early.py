"""What happens early in training: how far perturbations go, and when events come."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from pipeline_lib.core.rng import numpy_generator
from pipeline_lib.experiments import comparisons
from pipeline_lib.tables import rules, tabulation
from pipeline_lib.tables.derived._onsets import matching
from pipeline_lib.tables.derived._resampling import NUM_SAMPLES

if TYPE_CHECKING:
    import pandas as pd

TABLES = {
    "correlations": {
        "from": ["perturbations", "runs"],
        "columns": [
            "task", "k", "level",
            ["set", "string", "-", "paper: the fourteen perturbations of figures 4 to 7; all: every one that was measured"],
            ["r", "double", "1", "Pearson correlation of mean effective deviation and mean test accuracy over perturbations"],
            ["p", "double", "1", "two-sided p-value of r by Student's t"],
            ["low", "double", "1", "2.5 % quantile of r over bootstrap samples of perturbations"],
            ["high", "double", "1", "97.5 % quantile of r over bootstrap samples of perturbations"],
            ["num_perturbations", "int64", "1", "perturbations"],
            "num_seeds",
        ],
    },
    "timeline": {
        "from": ["telemetry"],
        "with": ["runs", "onsets", "curvature"],
        "asks": ["tasks"],
        "columns": [
            "task",
            ["event", "string", "-", "what happens"],
            ["of", "string", "-", "table that it is read off"],
            ["step", "double", "steps", "step at which it happens; null if it does not"],
            ["low", "double", "steps", "earliest over seeds, or lower end of the interval"],
            ["high", "double", "steps", "latest over seeds, or upper end of the interval"],
            "num_seeds",
        ],
    },
}  # fmt: skip

Frames = dict[str, "pd.DataFrame"]
Rows = list[dict[str, Any]]

_NOWHERE = float("inf")
_EARLY = (10, 1000)  # steps in which the gradient's minimum is sought
_SETTLED = 2000  # steps after which gradients have settled in the paper


def _points(frames: Frames) -> pd.DataFrame:
    """Give each perturbed start's mean effective deviation and mean test accuracy by task, k and level."""
    sizes, runs = frames["perturbations"], frames["changed_runs"]
    key = ["task", "kind", "start", "k", "level", "seed"]
    pooled = tabulation.of_kind(sizes[sizes["layer"] == "all"], "imp")
    both = pooled[[*key, "change", "pretext", "strategy", "rule", "deviation"]].merge(runs[[*key, "test_error"]], on=key).dropna()
    both = both[(both[["pretext", "strategy", "rule"]] == "").all(axis=1)]  # else accuracy is not the perturbations' alone
    both = both.assign(accuracy=1 - both["test_error"])
    return both.groupby(["task", "k", "level", "change"], as_index=False).agg(
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


def _names(key: Any) -> tuple[str, int, int]:
    task, k, level = key
    return str(task), int(k), int(level)


def correlations(frames: Frames, spec: dict[str, Any]) -> Rows:
    """Correlate the effective deviation of perturbations with the accuracy that is left.

    Of several perturbations, one after the other, the deviation is that of all together from the unperturbed masked start.
    The interval is a bootstrap over perturbations.

    Source: paper A, figure 8; perturbations and pooling are ambiguities A-X6 and A-X14.
    """
    rows: Rows = []
    for key, group in _points(frames).groupby(["task", "k", "level"], sort=True):
        task, k, level = _names(key)
        for name, points in (("paper", group[group["change"].isin(comparisons.PAPER)]), ("all", group)):
            if len(points) >= 3 and points["deviation"].nunique() > 1 and points["accuracy"].nunique() > 1:
                who = {"task": task, "k": k, "level": level, "set": name, "num_perturbations": len(points)}
                found = _correlation(points, "correlations", task, k, level, name)
                rows.append(who | found | {"num_seeds": int(points["num_seeds"].min())})
    return rows


def _smoothed(run: pd.DataFrame, column: str, window: int = 25) -> pd.Series:
    """Average a column of one run over the logged steps of a window of steps around each, by step; null rows do not count."""
    import numpy as np

    own = run.dropna(subset=[column]).sort_values("step")
    steps, values = own["step"].to_numpy(), own[column].to_numpy()
    near = np.abs(steps[:, None] - steps[None]) <= window // 2
    return own.set_index("step")[column] * 0 + (near @ values) / near.sum(1)


def _first_step(values: pd.Series, has: pd.Series) -> float:
    return float(values.index[has.to_numpy()].min()) if has.any() else _NOWHERE


def _lowest(gradient: pd.Series) -> float:
    """Give the step of the lowest gradient; infinite where it still falls at the end of what counts."""
    early = gradient[(gradient.index >= _EARLY[0]) & (gradient.index <= _EARLY[1])]
    at = int(early.to_numpy().argmin()) if len(early) else 0
    return float(early.index[at]) if at < len(early) - 1 else _NOWHERE


def _run_events(run: pd.DataFrame, until: int) -> dict[str, float]:
    """Read the events off one run's telemetry; infinite where one does not happen, NaN where it was not watched long enough.

    Gradients settle at their mean over the second half of the first `until` steps, however much longer they were watched.
    """
    import numpy as np

    accuracy = 1 - run.set_index("step")["test_error"].dropna()
    events = {f"test accuracy {share} %": _first_step(accuracy, accuracy >= share / 100) for share in (25, 50, 75, 90)}
    early, signs = run[run["step"] <= until], run.set_index("step")["signs_changed"].dropna()
    gradient, late = _smoothed(early, "gradient_norm"), run["step"].max() >= until
    first, lowest = _smoothed(early, "gradient_norm", 5), _lowest(gradient)
    settled = gradient[(gradient.index >= until / 2) & (gradient.index <= until)].mean() if late else np.nan
    after = gradient[gradient.index >= lowest]
    # Half of the way from the first steps down to the level that gradients settle at.
    events["gradients no longer large"] = _first_step(first, first <= (first.iloc[0] + settled) / 2) if late else np.nan
    events["gradient minimum"] = lowest
    events["gradients settled"] = _first_step(after, after >= 0.9 * settled) if late else np.nan
    there = signs[signs.index <= until]
    half = _first_step(signs, signs >= there.iloc[-1] / 2) if len(there) else np.nan
    events["half of the sign changes"] = half if len(signs) and signs.index[-1] >= until else np.nan
    return events


def _event(task: str, event: str, of: str, steps: list[float]) -> dict[str, Any]:
    """Word one event: the median over seeds, and the earliest and latest; null beyond what was watched.

    Seeds of which it is not known, NaN, do not count.
    """
    ordered = sorted(step for step in steps if not math.isnan(step))
    middle = (len(ordered) - 1) // 2
    values = dict.fromkeys(("step", "low", "high"), _NOWHERE)
    if ordered:
        values = dict(zip(values, (ordered[middle], ordered[0], ordered[-1]), strict=True))
    finite = {name: None if value == _NOWHERE else value for name, value in values.items()}
    return {"task": task, "event": event, "of": of, **finite, "num_seeds": len(ordered)}


def _crossing(values: pd.Series, least: float) -> float:
    """Give the first step with so much; NaN where a step before it has no value, infinite where none has so much."""
    values = values.sort_index()
    has = values >= least
    before = values.iloc[: int(has.to_numpy().argmax())] if has.any() else values
    return math.nan if before.isna().any() else _first_step(values, has)


def _matching(runs: pd.DataFrame, task: str) -> Rows:
    """Find from which rewind step on each sparse level matches, and where resampled seeds put it; from runs alone."""
    own = runs[(runs["task"] == task) & (runs["noise_order"] == runs["noise_order"].min())]
    dense, rows = rules.dense(own), Rows()
    for level, group in own[(own["kind"] == "imp") & (own["level"] > 0) & own["seed"].isin(dense["seed"])].groupby("level"):
        found = matching(group, dense, task, "imp", int(level))
        who = {"task": task, "event": f"IMP matches at level {level}", "of": "runs", "num_seeds": found["num_seeds"]}
        values = dict(zip(("step", "low", "high"), (found["k"], found["low"], found["high"]), strict=True))
        rows.append(who | {name: None if value is None else float(value) for name, value in values.items()})
    return rows


def timeline(frames: Frames, spec: dict[str, Any]) -> Rows:
    """Collect when things happen early in training, each measured.

    What is not known of a seed is left out. Matching is of mean errors over seeds, and its interval is over resampled seeds.

    Args:
        frames: `telemetry`, and `runs`, `onsets` and `curvature` where they are there.
        spec: by task `tasks`, whose steps say when gradients have settled: within 2,000, or the training if that is shorter.

    Source: paper A, figures 2 and A1.
    """
    import pandas as pd

    rows: Rows = []
    for task, own in frames["telemetry"].groupby("task", sort=True):
        sound = own[own.groupby("seed")["mean_magnitude"].transform("count") > 1]
        until = min(_SETTLED, spec["tasks"][str(task)]["steps"])
        found = [_run_events(run, until) for _, run in sound.groupby("seed", sort=True)]
        rows += [_event(str(task), event, "telemetry", [events[event] for events in found]) for event in (found or [{}])[0]]
        rows += _matching(frames["runs"], str(task)) if "runs" in frames else []
    for _, onset in frames["onsets"].iterrows() if "onsets" in frames else ():
        if onset["kind"] == "dense" and onset["of"] == "stability":
            step, low, high = (None if pd.isna(onset[name]) else float(onset[name]) for name in ("k", "low", "high"))
            who = {"task": onset["task"], "event": "dense networks stable", "of": "onsets", "num_seeds": int(onset["num_seeds"])}
            rows.append(who | {"step": step, "low": low, "high": high})
    if "curvature" in frames:
        for task, own in frames["curvature"].groupby("task", sort=True):
            steps = [_crossing(run["overlap"].astype(float), 0.5) for _, run in own.set_index("step").groupby("seed")]
            rows.append(_event(str(task), "half of the gradient in the top subspace", "curvature", steps))
    return rows
