"""Worlds of accuracies, instabilities and what is counted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from worlds import DENSE, ERRORS, Setting, Tables, dense, depth, each_seed, ladder, matching, run, runs, start_parts, world

Options = Mapping[str, Any]
CURVES = {
    **ERRORS, "instability": {"instability": 0.01}, "distances": {"l2_params": 1.0}, "interpolation": {"error": 0.01},
}  # fmt: skip


def curve(of: str, kind: str, values: Mapping[int, float], setting: Setting, split: str = "test") -> Tables:
    """Tables in which a thing is so much at each rewind step."""
    level, name = (0, "dense") if kind == "dense" else (setting.sparse, kind)
    who = {"kind": name, "level": level}
    if of == "accuracy":
        return runs([run(value, level, k, name) for k, value in values.items()])
    if of == "matching_margin":
        sparse = [run(matching(value), level, k, name) for k, value in values.items()]
        return runs([*dense(0), *sparse] if level else dense(*values))
    at = {k: who | {"k": k, "split": split, "order_1": 0, "order_2": 1} for k in values}
    if of == "instability":
        ends = {"mean_end_error": 0.1, "headroom": 0.8}
        return {of: each_seed([at[k] | ends | {"instability": value / 100} for k, value in values.items()])}
    if of == "distance":
        return {"distances": each_seed([at[k] | {"l2_params": value} for k, value in values.items()])}
    points = [(k, a, value * (1 - abs(2 * a - 1))) for k, value in values.items() for a in (0.0, 0.5, 1.0)]
    return {"interpolation": each_seed([at[k] | {"alpha": a, "error": error / 100} for k, a, error in points])}


def merged(*parts: Tables) -> Tables:
    """Put tables together."""
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: pd.concat([part[name] for part in parts if name in part], ignore_index=True) for name in names}


def until(setting: Setting, through: int) -> list[int]:
    return [k for k in setting.steps if k <= through]


@world("at_step", apart=2, varies=CURVES)
def at_step(o: Options, theta: float, s: Setting) -> Tables:
    return curve(o["of"], o["kind"], dict.fromkeys(s.steps, theta), s, o["split"])


@world("lowest", "highest", apart=2, varies=CURVES)
def extremes(o: Options, theta: float, s: Setting) -> Tables:
    sign = 1 if o["name"] == "lowest" else -1
    steps = until(s, o["through"])
    return curve(o["of"], o["kind"], {k: theta + sign * (5 if i != 1 else 0) for i, k in enumerate(steps)}, s, o["split"])


@world("variation", apart=0.25, varies=CURVES)
def variation(o: Options, theta: float, s: Setting) -> Tables:
    steps = until(s, o["through"])
    values = {k: 90 + (theta * len(steps) / (len(steps) - 1) if i == 1 else 0) for i, k in enumerate(steps)}
    return curve(o["of"], o["kind"], values, s)


@world("difference", apart=1, varies=CURVES)
def difference(o: Options, theta: float, s: Setting) -> Tables:
    return merged(*(curve(o["of"], kind, {o["k"]: 50 + by}, s) for kind, by in ((o["kind"], theta), (o["other"], 0))))


@world("change", apart=1, varies=CURVES)
def change(o: Options, theta: float, s: Setting) -> Tables:
    return curve(o["of"], o["kind"], {0: 50, o["k"]: 50 + theta}, s)


@world("ratio_while", apart=0.3, varies={"distances": {"l2_params": 1.0}})
def ratio_while(o: Options, theta: float, s: Setting) -> Tables:
    both = (curve(o["of"], kind, {o["k"]: 10 * by}, s) for kind, by in ((o["kind"], theta), (o["other"], 1)))
    return merged(*both, curve("instability", o["kind"], {o["k"]: 0.1 if o["state"] == "stable" else 60}, s))


@world("split_gap", apart=10, varies=CURVES)
def split_gap(o: Options, theta: float, s: Setting) -> Tables:
    both = ((split, 20 + by) for split, by in (("train", theta), ("test", 0)))
    return merged(*(curve(o["of"], o["kind"], dict.fromkeys(until(s, o["through"]), v), s, split) for split, v in both))


def line(steps: Sequence[int | float], theta: float, base: float = 0.0) -> dict[Any, float]:
    """A series that goes up by theta, place by place."""
    return {k: base + theta * (i / (len(steps) - 1) - 0.5) for i, k in enumerate(steps)}


@world("rank_trend", apart=0.5, varies=CURVES)
def rank_trend(o: Options, theta: float, s: Setting) -> Tables:
    steps = until(s, o["through"])
    return curve(o["of"], o["kind"], {k: 40 * value for k, value in line(steps, theta, 1).items()}, s, o["split"])


def correlated(x: Sequence[float], r: float) -> list[float]:
    """Values that correlate with others as is said, but for the ends of what can be."""
    own = (np.array(x) - np.mean(x)) / np.std(x)
    other = np.array([(-1.0) ** i * (1 + 0.1 * i) for i in range(len(x))])
    other = other - other.mean() - own * (other @ own) / len(x)
    r = float(np.clip(r, -0.999, 0.999))
    return (r * own + math.sqrt(1 - r**2) * other / other.std()).tolist()


@world("linear_fall", apart=1.5, varies=CURVES, sigma=0.3)
def linear_fall(o: Options, theta: float, s: Setting) -> Tables:
    steps = [0, 50, 100, 250, 500, 750, 1000, 1500, 2000]
    values = correlated(list(map(float, range(len(steps)))), theta)
    if theta > -0.9:  # by place and by step
        values = correlated(np.add(range(len(steps)), np.array(steps) / 250).tolist(), theta + 0.05)
    return curve(o["of"], o["kind"], {k: 20 + 2 * value for k, value in zip(steps, values, strict=True)}, s)


@world("relation", apart=1.5, varies=CURVES, sigma=0.4)
def relation(o: Options, theta: float, s: Setting) -> Tables:
    steps = [0, 50, 100, 250, 500, 750, 1000, 1500, 2000]
    x = list(map(float, range(len(steps))))
    both = ((o["to"], x), (o["of"], correlated(x, theta)))
    return merged(*(curve(of, o["kind"], {k: 50 + 2 * v for k, v in zip(steps, own, strict=True)}, s) for of, own in both))


@world("peak_place", apart=0.2, varies={"interpolation": {"error": 0.01}}, sigma=6.0)
def peak_place(o: Options, theta: float, s: Setting) -> Tables:
    alphas = np.linspace(0, 1, 21)
    who = {"kind": "dense", "level": 0, "k": o["k"], "split": o["split"], "order_1": 0, "order_2": 1}
    return {"interpolation": each_seed([who | {"alpha": a, "error": 0.6 - 0.5 * abs(a - theta)} for a in alphas.round(3)])}


def settles(steps: Sequence[int], place: float, before: float, after: float, edge: float) -> dict[int, float]:
    """A curve that is one thing before a place of the grid and another from it on; on the edge if that is no number."""
    return {k: edge if math.isnan(place) else after if i >= place else before for i, k in enumerate(steps)}


PAIRS = {"instability": {"instability": 0.01}, "runs": {"test_error": 0.01}}


@world("stability_onset", apart=1e9, varies=PAIRS, sigma=0.4, decided=True)
def stability_onset(o: Options, theta: float, s: Setting) -> Tables:
    place = theta if math.isnan(theta) else sum(k < theta for k in s.steps)
    return curve("instability", o["kind"], settles(s.steps, place, 20, 0, 2), s, o["split"])


@world("onset_difference", apart=2, varies=PAIRS, sigma=0.4, decided=True)
def onset_difference(o: Options, theta: float, s: Setting) -> Tables:
    both = ((o["kind"], 2 + theta), (o["other"], 2 + 0 * theta))
    return merged(*(curve("instability", kind, settles(s.steps, place, 20, 0, 2), s) for kind, place in both))


@world("split_onset_places", apart=1, varies=PAIRS, sigma=0.4, decided=True)
def split_onset_places(o: Options, theta: float, s: Setting) -> Tables:
    both = (("train", 1 + theta), ("test", 1 + 0 * theta))
    return merged(*(curve("instability", o["kind"], settles(s.steps, place, 20, 0, 2), s, split) for split, place in both))


@world("matching_onset_places", apart=1, varies=PAIRS, sigma=0.4, decided=True)
def matching_onset_places(o: Options, theta: float, s: Setting) -> Tables:
    first = curve("matching_margin", o["kind"], settles(s.steps, 1 + theta, -3, 3, 0), s)
    return merged(first, curve("instability", o["kind"], settles(s.steps, 1 + 0 * theta, 20, 0, 2), s))


@world("unstable_matches", apart=4, varies=PAIRS, sigma=0.4, decided=True)
def unstable_matches(o: Options, theta: float, s: Setting) -> Tables:
    stable = 2 if theta == 0 else math.nan if math.isnan(theta) else 99
    first = curve("matching_margin", o["kind"], settles(s.steps, 2 if theta == 0 else 0 * theta, -3, 3, 0), s)
    return merged(first, curve("instability", o["kind"], settles(s.steps, stable, 20, 0, 2), s))


@world("drop_at_onset", apart=1, varies={"distances": {"l2_params": 1.0}})
def drop_at_onset(o: Options, theta: float, s: Setting) -> Tables:
    steps, n = until(s, o["through"]), len(until(s, o["through"])) - 1
    rest = (n - theta) / (n - 1)
    falls = [theta if i == 2 else rest for i in range(1, n + 1)]
    values = {k: 30 - sum(falls[:i]) for i, k in enumerate(steps)}
    return merged(curve("distance", o["kind"], values, s), curve("instability", o["kind"], settles(s.steps, 2, 20, 0, 2), s))


@world("dense_accuracy", apart=1, varies=ERRORS)
def dense_accuracy(o: Options, theta: float, s: Setting) -> Tables:
    return runs([run(theta, 0, 0, test_error=1 - theta / 100)])


@world("smallest_matching_density", apart=1e9, varies=PAIRS, sigma=0.3, levels=12, decided=True)
def smallest_matching_density(o: Options, theta: float, s: Setting) -> Tables:
    levels = 24
    deepest = theta if math.isnan(theta) else 1 if theta > 100 else round(math.log(theta / 100) / math.log(0.8))
    steps = [k for k in s.steps if k in (0, o["through"])]
    return runs([*dense(0), *(each for k in steps for each in ladder(depth(levels, deepest), k))])


@world("levels_ahead", apart=2, varies=PAIRS, sigma=0.3, decided=True)
def levels_ahead(o: Options, theta: float, s: Setting) -> Tables:
    found = dense(o["k"])
    for kind, to in (("imp", 3 + theta), ("random_prune", 3 + 0 * theta), ("reinit", 2 + 0 * theta)):
        found += [each | {"kind": kind} for each in ladder(depth(12, to), o["k"])]
    return runs(found)


@world("best_k_lead", apart=1, varies=PAIRS)
def best_k_lead(o: Options, theta: float, s: Setting) -> Tables:
    levels = range(1, s.levels + 1)
    found = [run(70, level, 0, kind) for level in levels for kind in ("random_prune", "reinit")]
    steps = until(s, o["through"])
    return runs(found + [run(70 + theta - (0 if k == steps[1] else 6), level, k) for level in levels for k in steps])


@world("grid_margin", apart=1, varies=PAIRS)
def grid_margin(o: Options, theta: float, s: Setting) -> Tables:
    steps = [k for k in s.steps if o["from_k"] <= k <= o["to_k"]]
    far = 5 if o["take"] == "lowest" else -5
    return runs([*dense(0)] + [each for i, k in enumerate(steps) for each in ladder([theta + far * (i > 0)] * s.levels, k)])


@world("grid_accuracy", apart=2, varies=PAIRS)
def grid_accuracy(o: Options, theta: float, s: Setting) -> Tables:
    far = 3 if o["take"] == "lowest" else -3
    levels = range(o["to_level"] + 1)
    values = {(k, level): theta + (0 if (k, level) == (0, 1) else far) for k in (0, o["through"]) for level in levels}
    return runs([run(0, level, k, test_error=1 - value / 100) for (k, level), value in values.items()])


@world("rewind_trend", apart=3, varies=PAIRS)
def rewind_trend(o: Options, theta: float, s: Setting) -> Tables:
    steps = until(s, o["through"])
    far = 3 if o["take"] == "lowest" else -3
    rows = []
    for level in range(1, o["to_level"] + 1):
        rows += [run(value, level, k) for k, value in line(steps, theta + far * (level > o["from_level"]), 70).items()]
    return runs(rows)


@world("late_gain_share", apart=0.3, varies=PAIRS)
def late_gain_share(o: Options, theta: float, s: Setting) -> Tables:
    gained = {0: 60.0, o["k"]: 70.0, o["later"]: 70 + 10 * theta}
    return runs([run(value, level, k) for level in range(1, o["to_level"] + 1) for k, value in gained.items()])


def one_worse(o: Options, theta: float, levels: Sequence[int]) -> dict[int, float]:
    """Theta at the first level, and beyond it at the others where the extreme of levels is taken."""
    far = {"lowest": 4.0, "highest": -4.0}.get(o.get("take", ""), 0.0)
    return {level: theta + far * (level > levels[0]) for level in levels}


@world("margin", apart=1, varies=ERRORS)
def margin(o: Options, theta: float, s: Setting) -> Tables:
    levels = range(o["from_level"], o["to_level"] + 1)
    (k, change), (other_k, other) = start_parts(o["start"]), start_parts(o["against"])
    values = one_worse(o, theta, levels)
    found = [run(70 + values[level], level, k, o["kind"], change) for level in levels]
    return runs(found + [run(70, level, other_k, o["other"], other) for level in levels])


def starts(o: Options, accuracies: Mapping[tuple[int, str], float]) -> Tables:
    """Networks of all levels asked for, from changes of rewind steps; none is the plain start."""
    levels = range(o["from_level"], o["to_level"] + 1)
    found = [((k, "" if c == "none" else c), v) for (k, c), v in accuracies.items()]
    return runs([run(v, level, k, change=c) for (k, c), v in found for level in levels])


@world("margin_growth", apart=1, varies=ERRORS)
def margin_growth(o: Options, theta: float, s: Setting) -> Tables:
    early, late = o["k"], o["later"]
    gains = {(early, o["change"]): 61, (early, o["reference"]): 60, (late, o["change"]): 71 + theta, (late, o["reference"]): 70}
    return starts(o, gains)


@world("recovered", apart=0.5, varies=ERRORS)
def recovered(o: Options, theta: float, s: Setting) -> Tables:
    k = o["k"]
    return starts(o, {(k, "none"): 80, (k, o["reference"]): 70, (k, o["change"]): 70 + 10 * theta})


@world("noise_trend", apart=2, varies=ERRORS)
def noise_trend(o: Options, theta: float, s: Setting) -> Tables:
    return starts(o, {(o["k"], f"noise({n:g})"): value for n, value in line(o["sigmas"], theta, 70).items()})


def taught(o: Options, values: Mapping[float, float], **others: float) -> Tables:
    """Networks that have learned something else for so long."""
    return starts(
        o, {(0, f"{o['pretext']} for {n:g}ep"): v for n, v in values.items()} | {(int(k[1:]), ""): v for k, v in others.items()}
    )


@world("duration_margin", apart=1, varies=ERRORS)
def duration_margin(o: Options, theta: float, s: Setting) -> Tables:
    far = 4 if o["take"] == "lowest" else -4
    return taught(o, {n: 70 + theta + far * (i != 1) for i, n in enumerate(o["durations"])}, **{o["against"]: 70.0})


@world("duration_trend", apart=2, varies=ERRORS)
def duration_trend(o: Options, theta: float, s: Setting) -> Tables:
    return taught(o, line(o["durations"], theta, 70))


@world("sufficient_duration", apart=1e9, varies=ERRORS, sigma=0.5, decided=True)
def sufficient_duration(o: Options, theta: float, s: Setting) -> Tables:
    good = {n: 69.8 if math.isnan(theta) else 73 if n >= theta - 6 else 60 for n in o["durations"]}
    return taught(o, good, **{f"k{o['k']}": 70.0})


@world("matching_depth", apart=3, varies=PAIRS, sigma=0.3, levels=15, decided=True)
def matching_depth(o: Options, theta: float, s: Setting) -> Tables:
    k, change = start_parts(o["start"])
    return runs([*dense(k), *ladder(depth(s.levels, theta), k, change)])


@world("depth_lead", apart=3, varies=ERRORS, sigma=0.3, levels=12, decided=True)
def depth_lead(o: Options, theta: float, s: Setting) -> Tables:
    both = [start_parts(o[name]) for name in ("start", "against")]
    ladders = [ladder(depth(12, 5 + by), k, change) for (k, change), by in zip(both, (theta, 0 * theta), strict=True)]
    return runs([*dense(*{k for k, _ in both}), *ladders[0], *ladders[1]])


@world("start_margin", apart=1, varies=ERRORS)
def start_margin(o: Options, theta: float, s: Setting) -> Tables:
    k, change = start_parts(o["start"])
    values = one_worse(o, theta, range(o["from_level"], o["to_level"] + 1))
    return runs([*dense(k), *(run(matching(v), level, k, change=change) for level, v in values.items())])


@world("num_params", "training_steps", "density", "num_pairs", "num_points", "num_seeds", "recipe", apart=3, counted=True)
def counted(o: Options, theta: float, s: Setting) -> Tables:
    k = {"num_params": theta, "steps": theta}
    rows = [run(DENSE, level, 0) | k | {"density": theta / 100} for level in range(s.levels + 1)]
    frame = runs(rows)["runs"]
    if o["name"] == "num_seeds":
        frame = pd.concat([frame.assign(seed=i) for i in range(round(theta))])
    pair = {"task": "t", "kind": "dense", "k": 0, "level": 0, "split": "test", "seed": 0, "order_1": 0, "order_2": 1}
    pairs = pd.DataFrame([pair | {"order_1": i, "alpha": 0.0, "instability": 0.1} for i in range(round(min(theta, 99)))])
    points = pd.DataFrame([pair | {"alpha": i / 99, "error": 0.1} for i in range(round(min(theta, 99)))])
    networks = pd.DataFrame([{"task": "t", "lr": theta, "batch_size": theta}])
    return {"runs": frame, "instability": pairs, "interpolation": points, "networks": networks}
