"""A small made-up world for what is measured of the landscape around a ladder: five levels, from steps 0, 10 and 20."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import made_up
import numpy as np
import pandas as pd

Frames = dict[str, pd.DataFrame]
Rows = list[dict[str, Any]]

SEEDS, STEPS = (-1, 0, 1), (0, 10, 20)
MOVED, ADAPTIVE = "k20 | pruning_sized", "k20 | adaptive(10000)"
WR, LRR, FT = "k20", "k20 | mask | lr_rewinding", "k20 | mask | fine_tuning(0.01)"

# Mean accuracy in percent at levels 0 to 5; seeds are half a point apart, so that 89.5 matches: levels 0 to 1, 2 and 3.
LADDERS = {
    0: (90, 89.6, 88, 85, 80, 70),
    10: (90, 89.8, 89.6, 89, 80, 70),
    20: (90, 90.2, 90, 89.6, 89, 85),
}
# Mean barriers in points; seeds are a tenth of it apart. The error rises half as much in the middle, from 10 % at the ends.
SUCCESSIVE = {0: (10, 12, 15, 11, 0.2), 10: (5, 0.45, 2, 6, 8), 20: (2, 0.3, 0.4, 0.45, 3)}
FURTHER = {(0, 2): 2.5, (1, 3): 0.6, (2, 4): 1.2, (3, 5): 3.5, (0, 3): 3, (1, 4): 1.5, (2, 5): 4, (0, 4): 4, (1, 5): 5, (0, 5): 6}
FROM_MOVED = (6, 0.8, 0.9, 1, 5)

# By level: of two seeds, whether the projection and the next solution are inside; share of the plane, and its length along x.
INSIDE = [("TT", "TT"), ("TF", "TT"), ("FF", "TT"), ("FF", "FT"), ("FF", "TT")]
SHARES, LENGTHS = (0.5, 0.4, 0.3, 0.2, 0.1), (2, 2, 10, 2, 2)
REACHES = [(3, 2), (2, 1.5), (None, 1), (1, 0.9), (0.5, 0.8)]

# Which ratios match at levels 0, 2 and 4; by magnitude, 0.2 is the ladder's next level: it matches at levels 0 and 2.
RANDOM = {0: {0.1: 90, 0.2: 90, 0.3: 80}, 2: {0.1: 90, 0.2: 90, 0.3: 80}, 4: {0.1: 80, 0.2: 80, 0.3: 80}}
MAGNITUDE = {0: {0.1: 90, 0.3: 90}, 2: {0.1: 90, 0.3: 80}, 4: {0.1: 80, 0.3: 80}}
HEIGHTS = {0: 0.8, 2: 0.4, 4: None}  # the limit times the distance; at level 4 there is no sublevel set


def _run(k: int, level: int, accuracy: float, seed: int, start: str = "", density: float | None = None) -> dict[str, Any]:
    who = {
        "task": "net",
        "seed": seed,
        "noise_order": 0,
        "kind": "imp" if level else "dense",
        "k": k,
        "start": start or f"k{k}",
        "level": level,
    }
    left = 0.8**level if density is None else density
    return who | {"density": left, "test_error": 1 - (accuracy + 0.5 * seed) / 100}


def _runs() -> Rows:
    rows = [_run(k, level, row[level], seed) for seed, (k, row) in product(SEEDS, LADDERS.items()) for level in range(6)]
    for criterion, scan in (("random", RANDOM), ("magnitude", MAGNITUDE)):
        for level, (ratio, accuracy), seed in ((i, each, s) for i, row in scan.items() for each in row.items() for s in SEEDS):
            rows.append(_run(20, level, accuracy, seed, f"k20 | mask | prune({ratio:g}, {criterion})", 0.8**level * (1 - ratio)))
    # Level 5 of the plain ladder has 0.328: as sparse are the first two seeds at level 2, the last one at level 3.
    for seed, level, left in ((s, i, (0.6, 0.4, 0.3) if s == 1 else (0.5, 0.3, 0.2)) for s in SEEDS for i in (1, 2, 3)):
        rows.append(_run(20, level, 91 - level, seed, ADAPTIVE, left[level - 1]))
    return rows


def _lines() -> tuple[Rows, Rows]:
    """Barriers and paths: solutions of all levels, of moved starts, and projections, which are beside the point."""
    found = [("levels", k, f"k{k}", i, i + 1, height) for k, row in SUCCESSIVE.items() for i, height in enumerate(row)]
    found += [("levels", 20, "k20", i, j, height) for (i, j), height in FURTHER.items()]
    found += [("perturbed", 20, MOVED, i, i, height) for i, height in enumerate(FROM_MOVED)]
    found += [("projection", 20, "k20", i, i + 1, 50) for i in range(5)]
    barriers: Rows = []
    paths: Rows = []
    for (what, k, start, i, j, height), seed, split in product(found, SEEDS, ("test", "train")):
        who = {"task": "net", "seed": seed, "what": what, "k": k, "start": start, "level_1": i, "level_2": j, "split": split}
        rise = (height if split == "test" else 70) * (1 + seed / 10) / 100
        ends = {"mean_end_error": 0.1, "midpoint_error": 0.1 + rise / 2, "max_error": 0.1 + rise, "barrier": rise}
        barriers.append(who | ends)
        shape = {0.0: 0.0, 0.25: 0.5, 0.5: 1.0, 0.75: 0.5, 1.0: 0.0}
        paths += [who | {"alpha": alpha, "error": 0.1 + share * rise} for alpha, share in shape.items()]
    return barriers, paths


def _planes() -> tuple[Rows, Rows]:
    sets: Rows = []
    points: Rows = []
    for seed, level, plane in product((0, 1), range(5), ("pruning", "directions")):
        who = {"task": "net", "seed": seed, "plane": plane, "k": 20, "level": level}
        (projection, following), reach = INSIDE[level], [r if r is None else r * (1 + seed / 5) for r in REACHES[level]]
        inside = {"projection_inside": projection[seed] == "T", "next_inside": following[seed] == "T"}
        if plane == "directions":
            inside = dict.fromkeys(inside)
        sets.append(who | inside | {"share": SHARES[level], "reach_x": reach[0], "reach_y": reach[1]})
        sides = product(np.linspace(0, LENGTHS[level], 4).tolist(), (0.0, 0.5, 1.0))
        points += [who | {"x": x, "y": y} for x, y in sides]
    return sets, points


def _limits() -> dict[str, Rows]:
    rows: dict[str, Rows] = {"limits": [], "cuts": []}
    for seed, (level, height) in product(SEEDS, HEIGHTS.items()):
        who = {"task": "net", "seed": seed, "k": 20, "level": level}
        for operator, distance in product(("hessian", "gauss_newton"), (1, 2, 3, 4)):
            limit = (height or 0.0) / distance if operator == "gauss_newton" else distance
            rows["limits"].append(who | {"operator": operator, "distance": float(distance), "clamped": limit})
        for ratio in (0.1, 0.2, 0.3):
            cut = who | {"criterion": "random", "fraction": ratio, "draw": 0}
            rows["cuts"] += [cut | {"distance": 10 * ratio + 1}, cut | {"draw": 1, "distance": 99.0}]
            rows["cuts"].append(cut | {"criterion": "magnitude", "distance": 3.5})
    return rows


def _magnitudes() -> Rows:
    """Shares that rise linearly with the magnitude: at level 3 all starts are alike."""
    lines = {WR: (0, 2), LRR: (0, 2.2), FT: (0.1, 1.6)}  # the lowest magnitude, and what the highest one is above it
    rows: Rows = []
    for seed, level, (start, line), i in product(SEEDS, (1, 2, 3), lines.items(), range(11)):
        low, length = lines[WR] if level == 3 else line
        who = {"task": "net", "seed": seed, "k": 20, "start": start, "level": level, "quantile": i / 10}
        rows.append(who | {"of": "solution", "ratio": low + length * i / 10})
        if start == WR:
            rows.append(who | {"of": "projection", "ratio": max(0.0, i / 10 - 0.2)})
    return rows


def _ratios() -> Rows:
    chosen = {1: 0.5, 2: 0.4, 3: 0.2}
    found = product(SEEDS, chosen, (0.2, 0.4, 0.5))
    who = {"task": "net", "k": 20, "start": ADAPTIVE}
    return [who | {"seed": s, "level": level, "fraction": f, "chosen": f == chosen[level]} for s, level, f in found]


def _wells() -> Rows:
    lines: dict[tuple[float, float], Sequence[float]] = {
        (1.0, 10.0): (0, 0, 0.2, 0.8, 0.95, 1),
        (2.0, 15.0): (0, 0, 0, 0, 0.1, 1),
    }
    who = {"dimension": 20, "num_trials": 60}
    return [
        who | {"distance": distance, "threshold": threshold, "subspace": d, "probability": probability}
        for (distance, threshold), row in lines.items()
        for d, probability in zip((0, 5, 8, 10, 11, 20), row, strict=True)
    ]


def world() -> Frames:
    """Every table, as measures see it."""
    barriers, paths = _lines()
    sets, points = _planes()
    rows = {"runs": _runs(), "barriers": barriers, "paths": paths, "sets": sets, "planes": points, **_limits()}
    rows |= {"magnitudes": _magnitudes(), "ratios": _ratios(), "wells": _wells()}
    return made_up.divided({name: pd.DataFrame(found) for name, found in rows.items()})
