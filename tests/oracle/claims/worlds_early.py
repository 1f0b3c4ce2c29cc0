"""Worlds of paper A's own tables: telemetry, curvature, perturbations; and of training that is followed throughout."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from worlds import DENSE, Setting, Tables, each_seed, run, runs, world
from worlds_runs import correlated, line, merged

from pipeline_lib.experiments import comparisons

Options = Mapping[str, Any]
STEPS = [*range(0, 1000, 10), *range(1000, 4001, 50)]
ONES = dict.fromkeys(("mean_magnitude", "gradient_norm", "l2_initial", "cosine_initial"), 1.0)
TELEMETRY = {"telemetry": {"test_error": 0.01, "signs_changed": 0.01} | ONES}


def followed(quantity: str, value: Callable[[int], float]) -> Tables:
    """Telemetry in which a quantity is so much at each step."""
    column, percent = ("test_error", 100) if quantity == "accuracy" else (quantity, 100 if quantity == "signs_changed" else 1)
    found = {step: value(step) for step in STEPS}
    own = [{"step": t, column: (100 - v) / 100 if quantity == "accuracy" else v / percent} for t, v in found.items()]
    return {"telemetry": each_seed(own)}


def piecewise(borders: list[int], rates: list[float], first: float = 10.0) -> Callable[[int], float]:
    """A quantity that changes so fast between borders."""
    values = np.concatenate([[first], first + np.cumsum(np.diff(borders) * rates)])
    return lambda step: float(np.interp(step, borders, values))


@world("telemetry_at", apart=4, varies=TELEMETRY)
def telemetry_at(o: Options, theta: float, s: Setting) -> Tables:
    return followed(o["quantity"], lambda step: theta)


@world("telemetry_share", apart=0.2, varies=TELEMETRY)
def telemetry_share(o: Options, theta: float, s: Setting) -> Tables:
    return merged(followed("accuracy", lambda step: theta * DENSE), runs([run(DENSE, 0, 0, test_error=1 - DENSE / 100)]))


@world("telemetry_change", apart=10, varies=TELEMETRY)
def telemetry_change(o: Options, theta: float, s: Setting) -> Tables:
    return followed(o["quantity"], lambda step: 20 if step < o["to_step"] else 20 * (1 + theta / 100))


@world("telemetry_rate_ratio", apart=1, varies=TELEMETRY)
def telemetry_rate_ratio(o: Options, theta: float, s: Setting) -> Tables:
    borders = [o["from_step"], o["border"], o["to_step"]]
    return followed(o["quantity"], piecewise([*borders, 5000], [0.01 * theta, 0.01, 0.0], 30))


@world("telemetry_rate_rise", apart=0.6, varies=TELEMETRY)
def telemetry_rate_rise(o: Options, theta: float, s: Setting) -> Tables:
    borders = o["borders"]
    factors = [theta if i == 1 else min(theta, 0.4) for i in range(len(borders) - 2)]
    return followed(o["quantity"], piecewise([0, *borders], [0.0, *np.cumprod([0.05, *factors])], 30))


@world("telemetry_level_ratio", apart=1, varies=TELEMETRY)
def telemetry_level_ratio(o: Options, theta: float, s: Setting) -> Tables:
    first, last, base = o["from_step"], o["to_step"], (o["over_from"], o["over_to"])
    both = max(min(last, base[1]) - max(first, base[0]), 0) / (base[1] - base[0])
    level = 10 * theta * (1 - both) / (1 - theta * both)  # the windows may share steps
    return followed(o["quantity"], lambda step: level if first <= step <= last else 10)


@world("gradient_minimum", apart=300, varies=TELEMETRY, sigma=0.3)
def gradient_minimum(o: Options, theta: float, s: Setting) -> Tables:
    return followed("gradient_norm", lambda step: 1 + abs(step - theta) / 100)


@world("gradient_rebound", apart=0.4, varies=TELEMETRY)
def gradient_rebound(o: Options, theta: float, s: Setting) -> Tables:
    return followed(
        "gradient_norm", lambda step: 10 if step >= o["from_step"] or (theta > 1 and abs(step - 200) > 50) else 10 / theta
    )


@world("event_step", apart=500, counted=True)
def event_step(o: Options, theta: float, s: Setting) -> Tables:
    row = {"task": "t", "event": o["event"], "step": theta, "low": theta, "high": theta, "num_seeds": 5}
    return merged({"timeline": pd.DataFrame([row])}, followed("accuracy", lambda step: 50))


@world("negative_curvature_fall", apart=0.3, varies={"curvature": {"bottom": 1.0}})
def negative_curvature_fall(o: Options, theta: float, s: Setting) -> Tables:
    sizes = ((o["from_step"], 1.0), (o["to_step"], theta))
    return {
        "curvature": each_seed([{"kind": "dense", "level": 0, "k": 0, "step": t, "top": 10.0, "bottom": -v} for t, v in sizes])
    }


THROUGHOUT = {"throughout": {"instability": 0.01, "mean_end_error": 0.01}}


def throughout(at: Mapping[int, Callable[[int], tuple[float, float]]]) -> Tables:
    """Instability and error at twenty steps of training, by rewind step."""
    who = {"kind": "dense", "level": 0, "split": "test", "batchnorm": "averaged", "order_1": 0, "order_2": 1}
    rows = [(k, t, *value(t)) for k, value in at.items() for t in range(20)]
    return {
        "throughout": each_seed(
            [who | {"k": k, "step": t, "instability": i / 100, "mean_end_error": e / 100} for k, t, i, e in rows]
        )
    }


@world("throughout_highest", apart=1.5, varies=THROUGHOUT)
def throughout_highest(o: Options, theta: float, s: Setting) -> Tables:
    return throughout({o["k"]: lambda t: (theta if t == 7 else theta - 2, 10)})


@world("throughout_mirrors_error", apart=0.6, varies=THROUGHOUT, sigma=3.0)
def throughout_mirrors_error(o: Options, theta: float, s: Setting) -> Tables:
    x = list(map(float, range(20)))
    y = correlated(x, theta)
    return throughout({o["k"]: lambda t: (30 + 5 * y[t], 50 - x[t])})


@world("throughout_trend", apart=3, varies=THROUGHOUT)
def throughout_trend(o: Options, theta: float, s: Setting) -> Tables:
    steps = [k for k in s.steps if k <= o["through"]]
    return throughout({k: lambda t, v=v: (v, 10) for k, v in line(steps, theta, 20).items()})


SIZES = {"perturbations": {"deviation": 1.0, "mean": 1.0}}


def sized(o: Options, values: Mapping[str, float], **more: float) -> pd.DataFrame:
    """Sizes of changes at the level asked for."""
    who = {"kind": "imp", "layer": "all", "level": o["level"], "k": o["k"]}
    return each_seed([who | {"change": change, "deviation": v, "mean": 0.0} | more for change, v in values.items()])


@world("deviation", apart=0.1, varies=SIZES)
def deviation(o: Options, theta: float, s: Setting) -> Tables:
    return {"perturbations": sized(o, {o["change"]: theta})}


@world("deviation_ratio", apart=0.3, varies=SIZES)
def deviation_ratio(o: Options, theta: float, s: Setting) -> Tables:
    return {"perturbations": sized(o, {o["change"]: theta, o["reference"]: 1.0})}


@world("largest_mean", apart=0.04, varies={"perturbations": {"mean": 1.0}})
def largest_mean(o: Options, theta: float, s: Setting) -> Tables:
    frame = sized(o, dict.fromkeys(comparisons.PAPER, 1.0))
    frame.loc[frame["change"] == "noise(1)", "mean"] = theta
    return {"perturbations": frame}


@world("sign_changes", apart=4, varies={"signs": {"changed": 0.01}})
def sign_changes(o: Options, theta: float, s: Setting) -> Tables:
    return {"signs": each_seed([{name: o[name] for name in ("scope", "level", "step_1", "step_2")} | {"changed": theta / 100}])}


def perturbed(o: Options, points: Mapping[str, tuple[float, float]], whole: float = DENSE) -> Tables:
    """Sizes and accuracies of changes."""
    level, k = o["level"], o["k"]
    found = runs([run(whole, level, k), *(run(a, level, k, change=change) for change, (_, a) in points.items())])
    return found | {"perturbations": sized(o, {change: size for change, (size, _) in points.items()})}


BOTH = {"changed_runs": {"test_error": 0.01}, "perturbations": {"deviation": 0.01}}


@world("correlation", apart=0.75, varies=BOTH, sigma=1.0)
def correlation(o: Options, theta: float, s: Setting) -> Tables:
    x = [1 + 0.1 * i for i in range(len(comparisons.PAPER))]
    y = correlated(x, theta)
    return perturbed(o, {change: (x[i], 70 + 2 * y[i]) for i, change in enumerate(comparisons.PAPER)})


@world("num_perturbations", apart=5, counted=True)
def num_perturbations(o: Options, theta: float, s: Setting) -> Tables:
    row = {"task": "t", "set": "paper", "k": o["k"], "level": o["level"], "num_perturbations": theta, "num_seeds": 5}
    return {"correlations": pd.DataFrame([row])}


@world("accurate_deviation", apart=0.5, varies={"perturbations": {"deviation": 1.0}})
def accurate_deviation(o: Options, theta: float, s: Setting) -> Tables:
    return perturbed(
        o, {change: ((theta, 90 - i) if i < o["best"] else (1.0, 60 - i)) for i, change in enumerate(comparisons.PAPER)}
    )


CHANGED = {"changed_runs": {"test_error": 0.01}}


@world("mixture_residuals", apart=0.8, varies=CHANGED)
def mixture_residuals(o: Options, theta: float, s: Setting) -> Tables:
    def points(factor: float) -> dict[str, tuple[float, float]]:
        signs, rest = list(comparisons.SIGNS), [c for c in comparisons.PAPER if c not in comparisons.SIGNS]
        found = {c: (1 + 0.1 * i, 60 - 2 * i + 4 * (-1) ** i) for i, c in enumerate(rest)}
        return found | {c: (1.3 + 0.1 * i, 54 + 4 * factor * (-1) ** i) for i, c in enumerate(signs)}

    def measured(factor: float) -> float:
        x, y = np.array(list(points(factor).values())).T
        slope, intercept = np.polyfit(x, y, 1)
        away = np.abs(y - intercept - slope * x)
        return float(away[-3:].mean() / away[:-3].mean())

    factors = np.linspace(0, 8, 161)
    near = min(factors, key=lambda factor: abs(measured(float(factor)) - theta))
    return perturbed(o, points(float(near)))


@world("permutation_residuals", apart=0.6, varies=CHANGED)
def permutation_residuals(o: Options, theta: float, s: Setting) -> Tables:
    noise = {c: (0.5 + i, 76 - 4 * i) for i, c in enumerate(comparisons.NOISE)}
    x, y = zip((0.0, DENSE), *noise.values(), strict=True)

    def on_curve(size: float, away: float) -> tuple[float, float]:
        return size, float(np.interp(size, x, y)) + away

    rest = comparisons.SHUFFLES | comparisons.SAME_SIGN
    found = noise | {c: on_curve(1 + 0.2 * i, 3 * max(theta, 0)) for i, c in enumerate(rest)}
    return perturbed(o, found | {c: on_curve(1 + 0.3 * i, -3) for i, c in enumerate(comparisons.SIGNS)})
