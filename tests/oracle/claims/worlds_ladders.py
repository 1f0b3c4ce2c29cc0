"""Worlds of paper C's tables: lines between levels, magnitudes, limits, planes, wells, ladders that adapt."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from worlds import (
    DENSE,
    ERRORS,
    SPREAD,
    TOLERANCE,
    Setting,
    Tables,
    dense,
    depth,
    each_seed,
    ladder,
    matching,
    run,
    runs,
    start_parts,
    world,
)
from worlds_runs import line

Options = Mapping[str, Any]
BARRIERS = {"barriers": {"barrier": 0.01, "midpoint_error": 0.01, "max_error": 0.01}}


def of_seeds(error: float) -> tuple[float, ...]:
    """An error, in percent, with the dense spread of its seed."""
    return tuple((error - by) / 100 for by in SPREAD)


def barrier(start: str, i: int, j: int, points: float, highest: float = 25.0) -> dict[str, Any]:
    """The line between two levels: its barrier, on the whole line and in the middle, and its highest error, in percent."""
    what = "levels" if " | " not in start else "perturbed"
    who = {"start": start, "k": start_parts(start)[0], "level_1": i, "level_2": j, "split": "test", "what": what}
    return who | {
        "mean_end_error": 0.2,
        "barrier": points / 100,
        "midpoint_error": 0.2 + points / 100,
        "max_error": of_seeds(highest),
    }


def plain_runs(k: int, levels: int, to: float) -> list[dict[str, Any]]:
    """Dense networks and a ladder that matches down to a level."""
    return [*dense(k), *ladder(depth(levels, to), k)]


@world("level_barrier", apart=3, varies=BARRIERS)
def level_barrier(o: Options, theta: float, s: Setting) -> Tables:
    k, change = start_parts(o["start"])
    points = theta * (TOLERANCE if o["unit"] == "tolerances" else 1)
    far = 4 if o["take"] == "lowest" else -4
    levels = range(o["from_level"], o["to_level"] + 1)
    rows = [barrier(o["start"], i, i if change else i + 1, points + far * (i > levels[0])) for i in levels]
    return runs(plain_runs(k, s.levels, 0 if o["pairs"] == "others" else s.levels)) | {"barriers": each_seed(rows)}


@world("level_barrier_trend", apart=3, varies=BARRIERS, levels=7)
def level_barrier_trend(o: Options, theta: float, s: Setting) -> Tables:
    levels = range(o["from_level"], o["to_level"] + 1)
    return {"barriers": each_seed([barrier(o["start"], i, i + 1, v) for i, v in line(levels, theta, 8).items()])}


@world("level_barrier_lead", apart=2, varies=BARRIERS)
def level_barrier_lead(o: Options, theta: float, s: Setting) -> Tables:
    both = ((o["level"], 8 + theta), (o["later"], 8))
    return {"barriers": each_seed([barrier(o["start"], i, i + 1, v) for i, v in both])}


@world("level_barrier_ratio", apart=1.5, varies=BARRIERS)
def level_barrier_ratio(o: Options, theta: float, s: Setting) -> Tables:
    both = ((o["start"], 4 * theta), (o["against"], 4))
    i = o["level"]
    return {"barriers": each_seed([barrier(start, i, i if "|" in start else i + 1, v) for start, v in both])}


@world("pair_barrier", apart=3, varies=BARRIERS)
def pair_barrier(o: Options, theta: float, s: Setting) -> Tables:
    points = theta * (TOLERANCE if o["unit"] == "tolerances" else 1)
    rows = [barrier(o["start"], o["from_level"], o["to_level"], points)]
    return runs(dense(start_parts(o["start"])[0])) | {"barriers": each_seed(rows)}


@world("pair_barrier_trend", apart=3, varies=BARRIERS)
def pair_barrier_trend(o: Options, theta: float, s: Setting) -> Tables:
    steps = [k for k in s.steps if k <= o["through"]]
    rows = [barrier(f"k{k}", o["from_level"], o["to_level"], v) for k, v in line(steps, theta, 8).items()]
    return {"barriers": each_seed(rows)}


def all_pairs(levels: int) -> list[tuple[int, int]]:
    return [(i, j) for i in range(levels + 1) for j in range(i + 1, levels + 1)]


@world("highest_path_error", apart=3, varies=BARRIERS)
def highest_path_error(o: Options, theta: float, s: Setting) -> Tables:
    k = start_parts(o["start"])[0]
    worst = 100 - DENSE + theta * TOLERANCE
    rows = [barrier(o["start"], i, j, 0, worst - 3 * ((i, j) != (1, 2))) for i, j in all_pairs(s.levels)]
    return runs(plain_runs(k, s.levels, s.levels)) | {"barriers": each_seed(rows)}


@world("gap_trend", apart=3, varies=BARRIERS)
def gap_trend(o: Options, theta: float, s: Setting) -> Tables:
    k, gaps = start_parts(o["start"])[0], line(range(1, s.levels), theta, 8)
    rows = [barrier(o["start"], i, j, gaps.get(j - i, 8)) for i, j in all_pairs(s.levels)]
    return runs(plain_runs(k, s.levels, s.levels)) | {"barriers": each_seed(rows)}


@world("path_error", apart=3, varies={"paths": {"error": 0.01}})
def path_error(o: Options, theta: float, s: Setting) -> Tables:
    k, worst = start_parts(o["start"])[0], 100 - DENSE + theta * TOLERANCE
    who = {"what": "levels", "start": o["start"], "k": k, "split": "test"}
    points = [(i, a) for i in range(1, s.levels) for a in (0.0, 0.5, 1.0)]
    rows = [
        who | {"level_1": i, "level_2": i + 1, "alpha": a, "error": of_seeds(worst - 3 * ((i, a) != (1, 0.5)))} for i, a in points
    ]
    return runs(plain_runs(k, s.levels, s.levels)) | {"paths": each_seed(rows)}


def both(o: Options, s: Setting, connected: float, matches: float) -> Tables:
    """Ladders from all steps: which levels match, and which are connected to the next."""
    rows, lines = [], []
    for k in s.steps:
        if k <= o["through"]:
            rows += plain_runs(k, s.levels, matches)
            edge = math.isnan(connected)
            lines += [barrier(f"k{k}", i, i + 1, TOLERANCE if edge else 0 if i + 1 <= connected else 6) for i in range(s.levels)]
    return runs(rows) | {"barriers": each_seed(lines)}


DECIDED = {**ERRORS, **BARRIERS}


@world("agreement", apart=20, varies=DECIDED, sigma=0.03, decided=True, levels=9)
def agreement(o: Options, theta: float, s: Setting) -> Tables:
    """Matching ends at level 7; all lines agree, or none does: what matches is apart and the rest connected."""
    found = both(o, s, 7 + 0 * theta, 7 + 0 * theta)
    if theta < 85:
        found["barriers"]["barrier"] = 0.06 - found["barriers"]["barrier"]
    return found


@world("stray_levels", apart=3, varies=DECIDED, sigma=0.15, decided=True, levels=9)
def stray_levels(o: Options, theta: float, s: Setting) -> Tables:
    return both(o, s, 6 + 0 * theta if not theta > 0 else 99, 6 + 0 * theta)


@world("break_places", apart=3, varies=DECIDED, sigma=0.03, decided=True, levels=9)
def break_places(o: Options, theta: float, s: Setting) -> Tables:
    k = start_parts(o["start"])[0]
    rows, connected = plain_runs(k, s.levels, 6 + 0 * theta), 6 - theta
    lines = [
        barrier(f"k{k}", i, i + 1, TOLERANCE if math.isnan(theta) else 0 if i + 1 <= connected else 6) for i in range(s.levels)
    ]
    return runs(rows) | {"barriers": each_seed(lines)}


MAGNITUDES = {"magnitudes": {"ratio": 1.0, "quantile": 1.0}}


def magnitudes(o: Options, points: Mapping[str, Sequence[tuple[float, float]]]) -> Tables:
    """Distributions of solutions from starts: magnitude over the mean, and share up to there."""
    levels = range(o["from_level"], o["to_level"] + 1)
    rows = [(start, level, x, q) for start, curve in points.items() for level in levels for x, q in curve]
    return {
        "magnitudes": each_seed([{"start": a, "level": b, "of": "solution", "ratio": x, "quantile": q} for a, b, x, q in rows])
    }


@world("distribution_ratio", apart=0.3, varies={"magnitudes": {"ratio": 1.0}}, sigma=0.03)
def distribution_ratio(o: Options, theta: float, s: Setting) -> Tables:
    shifts = {o["start"]: 0.4 * theta, o["reference"]: 0.4, o["against"]: 0.0}
    return magnitudes(o, {start: [(by, 0.0), (2 + by, 1.0)] for start, by in shifts.items()})


@world("small_share_ratio", apart=0.3, varies={"magnitudes": {"quantile": 1.0}}, sigma=0.002)
def small_share_ratio(o: Options, theta: float, s: Setting) -> Tables:
    shares = {o["start"]: 0.1 * theta, o["against"]: 0.1}
    return magnitudes(o, {start: [(0.0, 0.0), (0.2, share), (2.0, 1.0)] for start, share in shares.items()})


@world("quantile_ratio", apart=0.3, varies={"magnitudes": {"ratio": 1.0}}, sigma=0.01)
def quantile_ratio(o: Options, theta: float, s: Setting) -> Tables:
    sizes = {o["start"]: 0.3 * theta, o["against"]: 0.3}
    return magnitudes(o, {start: [(0.0, 0.0), (size, 0.2), (2.0, 1.0)] for start, size in sizes.items()})


@world("pruned_share", apart=0.8, varies={"magnitudes": {"quantile": 0.01}})
def pruned_share(o: Options, theta: float, s: Setting) -> Tables:
    rows = [
        (level, *point) for level in range(o["from_level"], o["to_level"] + 1) for point in ((0.0, 0.2 + theta / 100), (2.0, 1.0))
    ]
    own = [{"start": "k0", "level": level, "of": "projection", "ratio": x, "quantile": q} for level, x, q in rows]
    return {"magnitudes": each_seed(own)}


RATIOS = (0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
LIMITS = {"limits": {"clamped": 1.0}}
SCAN = {"changed_runs": {"test_error": 0.01}, **LIMITS}


def limits(o: Options, values: Mapping[int, float]) -> Tables:
    """The limit that is predicted of each level, at all distances."""
    who = {"k": o["k"], "operator": "gauss_newton"}
    rows = [who | {"level": level, "distance": r, "clamped": v} for level, v in values.items() for r in (1.0, 2.0, 3.0)]
    return {"limits": each_seed(rows)}


@world("limit_by_level", apart=0.3, varies=LIMITS)
def limit_by_level(o: Options, theta: float, s: Setting) -> Tables:
    return limits(o, line((0, 2, 4, 6), theta, 0.5))


def scan(o: Options, largest: Mapping[str, Mapping[int, float]]) -> Tables:
    """Networks pruned further, which match up to a ratio by criterion and level; on the edge if that is no number."""
    k, rows = o["k"], dense(o["k"])
    levels = {level for own in largest.values() for level in own}
    for criterion, own in largest.items():
        for level, to in own.items():
            for ratio in RATIOS:
                margin = 0.0 if math.isnan(to) else 2.0 if ratio <= to + 1e-9 else -3.0
                more = {"further_criterion": criterion, "further_fraction": ratio, "num_changes": 1}
                rows.append(run(matching(margin), level, k, change=f"mask | prune({ratio}, {criterion})", **more))
    rows += [run(60, 1, k), *(run(matching(2), level, k) for level in sorted(levels - {0, 1}))]
    found = runs(rows)
    who = {"k": k, "draw": 0, "distance": 2.0}
    cuts = [who | {"level": a, "criterion": c, "fraction": f} for c in largest for a in levels for f in RATIOS]
    return found | {"cuts": each_seed(cuts)}


@world("limit_agreement", apart=15, varies=SCAN, sigma=0.02, decided=True)
def limit_agreement(o: Options, theta: float, s: Setting) -> Tables:
    to = math.nan if math.isnan(theta) else 0.5
    made = scan(o, {o["criterion"]: {0: to, 3: to}})
    return made | limits(o, {0: 0.6, 3: 0.6} if not theta < 80 else {0: 0.05, 3: 0.05})


@world("beyond_limit", apart=1, varies=SCAN, sigma=0.02, decided=True)
def beyond_limit(o: Options, theta: float, s: Setting) -> Tables:
    found = scan(o, {o["criterion"]: {0: 0.5 + 0 * theta, 3: 0.5 + 0 * theta}})
    return found | limits(o, dict.fromkeys((0, 3), 0.3 if math.isnan(theta) else 0.2 if theta >= 1 else 0.99))


@world("ratio_lead", apart=40, varies=SCAN, sigma=0.3, decided=True)
def ratio_lead(o: Options, theta: float, s: Setting) -> Tables:
    base = 0.5
    return scan(o, {"random": dict.fromkeys((0, 3), base + 0 * theta), "magnitude": dict.fromkeys((0, 3), base + theta / 100)})


@world("ratio_trend", apart=40, varies={"changed_runs": {"test_error": 0.01}}, sigma=2.0)
def ratio_trend(o: Options, theta: float, s: Setting) -> Tables:
    ratios = [0.9, 0.7, 0.5, 0.3] if theta < -20 else [0.3, 0.5, 0.7, 0.9] if theta > 0 else [math.nan] * 4
    return scan(o, {o["criterion"]: dict(zip((0, 2, 4, 6), ratios, strict=True))})


@world("num_ratios", "num_between", "num_across", apart=4, counted=True)
def sizes(o: Options, theta: float, s: Setting) -> Tables:
    num = round(theta)
    if o["name"] == "num_between":
        who = {"what": "levels", "start": "k0", "level_1": 1, "level_2": 2, "split": "test"}
        return {"paths": each_seed([who | {"alpha": i / (num + 1), "error": 0.1} for i in range(num + 2)])}
    if o["name"] == "num_across":
        points = [(i, i) for i in range(num)]
        return {"planes": each_seed([{"plane": "pruning", "k": 0, "level": 0, "x": float(x), "y": float(y)} for x, y in points])}
    more = {"further_criterion": o["criterion"], "num_changes": 1}
    rows = [(i / 100, f"mask | prune({i / 100}, {o['criterion']})") for i in range(1, num + 1)]
    pruned = [run(80, 3, o["k"], change=change, further_fraction=fraction, **more) for fraction, change in rows]
    return runs([*dense(o["k"]), run(80, 1, o["k"]), *pruned])


def drawn(o: Options, levels: Sequence[int], plane: str, **columns: Any) -> Tables:
    """Sets and corners of planes of some levels; columns by level."""
    who = {"plane": plane, "k": o["k"]}
    sets = [who | {"level": level} | {name: own[level] for name, own in columns.items()} for level in levels]
    corners = [who | {"level": level, "x": x, "y": x} for level in levels for x in (-2.0, 4.0)]
    return {"sets": each_seed(sets, 10), "planes": each_seed(corners, 10)}


def inside(levels: Sequence[int], good: Mapping[int, bool]) -> dict[int, float]:
    return {level: float(good[level]) for level in levels}


@world("inside_share", apart=50, counted=True)
def inside_share(o: Options, theta: float, s: Setting) -> Tables:
    levels = range(o["from_level"], o["to_level"] + 1)
    return drawn(o, levels, "pruning", **{f"{o['point']}_inside": inside(levels, dict.fromkeys(levels, theta > 50))})


@world("returning_levels", apart=2, counted=True)
def returning_levels(o: Options, theta: float, s: Setting) -> Tables:
    levels = range(6)
    good = {level: level < theta for level in levels}
    away = {level: not good[level] for level in levels}
    return drawn(
        o, levels, "pruning", projection_inside=inside(levels, away), next_inside=inside(levels, dict.fromkeys(levels, True))
    )


@world("lost_share", apart=50, counted=True)
def lost_share(o: Options, theta: float, s: Setting) -> Tables:
    good = dict.fromkeys(range(6), theta < 50)
    made = drawn(o, range(6), "pruning", projection_inside=inside(range(6), good), next_inside=inside(range(6), good))
    return made | runs(plain_runs(o["k"], s.levels, 3), 10)


SETS = {"sets": {"share": 1.0, "reach_x": 1.0, "reach_y": 1.0}}


@world("set_trend", apart=0.6, varies=SETS)
def set_trend(o: Options, theta: float, s: Setting) -> Tables:
    values = line(range(5), theta, 1)
    column = "share" if o["extent"] == "area" else o["extent"]
    made = drawn(o, range(5), o["plane"], **{column: {level: 0.3 * value for level, value in values.items()}})
    return made | runs(plain_runs(o["k"], s.levels, s.levels), 10)


@world("reach_ratio", apart=0.5, varies=SETS)
def reach_ratio(o: Options, theta: float, s: Setting) -> Tables:
    levels = range(o["from_level"], o["to_level"] + 1)
    far = {level: theta + (level > 0) for level in levels}
    return drawn(o, levels, "directions", reach_x=far, reach_y=dict.fromkeys(levels, 1.0))


def well(ratio: float, width: float, level: float = 1.0) -> Tables:
    """Subspaces that meet a set: from so much of the predicted dimension, over so wide a transition, up to so often."""
    rows = []
    for distance, threshold in ((1.0, 200.0), (2.0, 300.0)):
        for d in range(0, 501, 5):
            chance = np.clip(0.5 + (d - ratio * threshold) / max(width, 1e-9) * 0.8, 0, 1) * level
            who = {"dimension": 500, "distance": distance, "subspace": d, "threshold": threshold, "num_trials": 400}
            rows.append(who | {"probability": round(float(chance) * 400) / 400})
    return {"wells": pd.DataFrame(rows)}


@world("well_transition", apart=0.25, counted=True)
def well_transition(o: Options, theta: float, s: Setting) -> Tables:
    return well(theta, 20)


@world("well_width", apart=6, counted=True)
def well_width(o: Options, theta: float, s: Setting) -> Tables:
    return well(1.0, 5 * theta)


@world("well_probability", apart=8, counted=True)
def well_probability(o: Options, theta: float, s: Setting) -> Tables:
    return well(0.8, 10, theta / 100)


def adapting(o: Options, density_by_level: Mapping[int, float], margin: float = 0.0) -> Tables:
    """A plain ladder, and one that chooses its ratios."""
    k, change = start_parts(o["start"])
    plain = [run(75, level, k) for level in range(1, 13)]
    own = [run(75 + margin, level, k, change=change, density=left) for level, left in density_by_level.items()]
    return runs([*dense(k), *plain, *own])


@world("levels_needed", apart=2, varies={}, counted=True)
def levels_needed(o: Options, theta: float, s: Setting) -> Tables:
    needed = round(theta)
    return adapting(o, {level: 0.5 if level < needed else 0.8 ** o["level"] for level in range(1, 13)})


@world("training_saved", apart=20, counted=True)
def training_saved(o: Options, theta: float, s: Setting) -> Tables:
    needed = o["level"] - round(theta * (o["level"] + 1) / 100)
    return adapting(o, {level: 0.5 if level < needed else 0.8 ** o["level"] for level in range(1, 13)})


@world("density_margin", apart=1, varies={"changed_runs": {"test_error": 0.01}})
def density_margin(o: Options, theta: float, s: Setting) -> Tables:
    return adapting(o, {level: 0.5 if level < 7 else 0.8 ** o["level"] for level in range(1, 9)}, theta)


def chosen(o: Options, ratios: Sequence[float]) -> Tables:
    """Ratios that a ladder chose, in percent."""
    return {
        "ratios": each_seed(
            [{"start": o["start"], "level": i, "fraction": f / 100, "chosen": True} for i, f in enumerate(ratios, 1)]
        )
    }


@world("chosen_ratio", apart=8, varies={"ratios": {"fraction": 0.01}})
def chosen_ratio(o: Options, theta: float, s: Setting) -> Tables:
    return chosen(o, [theta, 30, theta])


@world("chosen_ratio_trend", apart=20, varies={"ratios": {"fraction": 0.01}})
def chosen_ratio_trend(o: Options, theta: float, s: Setting) -> Tables:
    return chosen(o, list(line(range(5), theta, 40).values()))
