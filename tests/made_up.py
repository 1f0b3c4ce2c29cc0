"""Made-up tables, for drawing figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations, product
from typing import Any

import made_up_checkpoints
import pandas as pd

from pipeline_lib.experiments import comparisons, starts
from pipeline_lib.tables import tabulation

KINDS = ("imp", "random_prune", "reinit")
ROOM = {"headroom": 0.8}  # far from guessing
TASKS, SEEDS, STEPS, SPLITS = ("a", "b"), (0, 1), (0, 10), ("train", "test")
ADAPTIVE, FINE_TUNING = "adaptive(10000)", "fine_tuning(0.01)"
LADDERS = (comparisons.LR_REWINDING, FINE_TUNING)  # retrained in other ways
BRANCHES = tuple(f"mask | {ladder}" for ladder in LADDERS)


TASK = {"name": "any", "steps": 10**9, "batch_size": 1, "dataset": {"num_train": 1}}

# A run at the top of a ladder, and its next two levels.
RUN = {
    "task": "toy",
    "seed": 0,
    "noise_order": 0,
    "kind": "imp",
    "k": 9,
    "start": "k9",
    "level": 0,
    "density": 1.0,
    "test_error": 0.1,
}
ONCE = RUN | {"level": 1, "density": 0.5, "test_error": 0.2}
TWICE = RUN | {"level": 2, "density": 0.25, "test_error": 0.4}


def with_parts(frame: pd.DataFrame) -> pd.DataFrame:
    """Add to a table with starts the columns that tabulation takes from the plan."""
    if "start" not in frame:
        return frame
    return tabulation.with_parts(frame, {text: starts.parse(text, TASK).parts for text in frame["start"].unique()})


def table(rows: Iterable[Mapping[str, object]]) -> pd.DataFrame:
    """A table of rows, with dense networks named as tabulation names them."""
    frame = pd.DataFrame(rows)
    return tabulation.with_dense(frame) if {"kind", "level"} <= set(frame) else frame


def divided(frames: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Tables as figures and measures see them, with the parts of starts."""
    return tabulation.divided({name: with_parts(frame) for name, frame in frames.items()})


def _settings() -> list[dict[str, Any]]:
    """Dense networks, and two levels of every kind."""
    levels = [("imp", 0), *product(KINDS, (1, 2))]
    found = product(TASKS, SEEDS, STEPS, levels)
    return [
        {"task": task, "seed": seed, "k": k, "kind": kind, "level": level, "density": 0.5**level}
        for task, seed, k, (kind, level) in found
    ]


def _value(*parts: object) -> float:
    """A number in (0, 1) that is the same in every process."""
    return (sum(ord(letter) * (i + 1) for i, letter in enumerate(repr(parts))) % 97 + 1) / 99


def frames() -> dict[str, pd.DataFrame]:
    rows = {
        name: list[dict[str, Any]]()
        for name in (
            "runs",
            "curves",
            "interpolation",
            "instability",
            "distances",
            "throughout",
            "layers",
            "similarity",
            "alignments",
        )
    }
    for s in _settings():
        who, plain = tuple(s.values()), s | {"start": f"k{s['k']}"}
        begins = plain | {"start_step": s["k"]}
        rows["runs"] += [begins | {"noise_order": order, "test_error": _value(who, order)} for order in (0, 1)]
        curve = product((5, 10), ("batch", "test"))
        rows["curves"] += [
            plain | {"noise_order": 0, "step": t, "split": p, "error": _value(who, t, p), "loss": 1.0} for t, p in curve
        ]
        pair = s | {"order_1": 0, "order_2": 1, "other_seed": s["seed"], "alignment": "none"}
        line = list(product((0.0, 0.5, 1.0), SPLITS))
        both = [("averaged", 1.0), ("recomputed", 0.5)]
        for batchnorm, scale in both:
            label = pair | {"batchnorm": batchnorm}
            rows["interpolation"] += [
                label | {"alpha": a, "split": p, "error": scale * _value(who, a, p), "loss": 1.0} for a, p in line
            ]
            ends = {"instability": scale * _value(who), "mean_end_error": 0.1, "max_error": 0.1 + scale * _value(who), **ROOM}
            rows["instability"] += [label | ends | {"split": split} for split in SPLITS]
            rows["instability"] += [
                label | ends | how | {"split": "test", "instability": scale * _value(who, *how.values())}
                for how in _alignments(s)
            ]
        rows["alignments"] += [
            pair
            | how
            | {"before": 0.1, "after": _value(who, *how.values()), "moved": _value(who, how["alignment"]), "sweeps": 2}
            | {"other_level": s["level"]}
            for how in _alignments(s)
            if how["alignment"] != "none"
        ]
        rows["distances"].append(pair | {"l2_params": _value(who, 1), "l2_weights": _value(who, 2)})
        if not s["level"]:
            for b in ("stem", "body.fc2"):
                rows["layers"].append(pair | {"block": b, "split": "test", "rise": _value(who, b)})
                rows["similarity"].append(pair | {"block": b, "cka": _value(who, b, "cka")})
            rows["throughout"] += [
                pair | ROOM | {"step": t, "split": "test", "instability": _value(who, t), "mean_end_error": 0.1} for t in (20, 40)
            ]
    for s in [*_changed(), *_retrained()]:
        value = _value(*s.values())
        rows["runs"].append(s | {"noise_order": 0, "test_error": value})
        run = {name: s[name] for name in s if name != "start_step"}
        rows["curves"].append(run | {"noise_order": 0, "step": 10, "split": "test", "error": value, "loss": 1.0})
    found = {name: table(each) for name, each in rows.items()}
    found |= {"networks": networks(), "perturbations": perturbations(), "correlations": correlations()}
    found |= early() | ladder() | planes() | {"claims": claims()}
    return found | made_up_checkpoints.tables(TASKS[0])


def _alignments(s: dict[str, Any]) -> list[dict[str, Any]]:
    """How pairs of a setting are aligned, besides those of one seed as they were trained."""
    if s["kind"] != "imp":
        return []
    ways = product((s["seed"], s["seed"] + 1), ("none", "weights", "activations"))
    return [{"other_seed": seed, "alignment": way} for seed, way in ways if (seed, way) != (s["seed"], "none")]


def _changed() -> list[dict[str, Any]]:
    """Runs of two levels from every changed start that figures know, and from one that they do not."""
    found = []
    for task, seed, k, level in product(TASKS, SEEDS, STEPS, (1, 2)):
        texts = {"imp": [*comparisons.EVERY, "sphere(1)"], "random_prune": [], "reinit": []}
        for kind, calls in texts.items():
            changes = [*calls, f"mask | {comparisons.ROTATION} for 40ep"]
            taught = kind == "imp" and k == 0 and task == TASKS[0]
            changes += [f"{p} for {n}" for p, n in product(comparisons.PRETEXTS, ("2ep", "40ep")) if taught]
            who = {"task": task, "seed": seed, "k": k, "kind": kind, "level": level, "density": 0.5**level}
            found += [who | {"start": f"k{k} | {c}", "start_step": 0 if " for " in c else k} for c in changes]
    return found


def perturbations() -> pd.DataFrame:
    """Sizes of the changes of whole networks and of one layer."""
    measured = [s for s in _changed() if s["start"].partition(" | ")[2] in {*comparisons.EVERY, "sphere(1)"}]
    sizes = {"mean": 0.0, "norm": 1.0, "num_weights": 100}
    return pd.DataFrame(
        {name: s[name] for name in s if name != "start_step"} | {"layer": p, "deviation": _value(*s.values(), p)} | sizes
        for s, p in product(measured, ("all", "fc1.weight"))
    )


def correlations() -> pd.DataFrame:
    """Correlations over both sets of perturbations."""
    numbers = {"r": -0.5, "p": 0.01, "low": -0.75, "high": -0.25, "num_perturbations": 14, "num_seeds": 2}
    found = product(TASKS, STEPS, ("paper", "all"))
    return pd.DataFrame([{"task": task, "k": k, "level": 2, "set": name} | numbers for task, k, name in found])


def early() -> dict[str, pd.DataFrame]:
    """The early phase of dense training; telemetry, which takes long to draw, is of the first task alone."""
    measures = ["test_loss", "mean_magnitude", "signs_changed", "gradient_norm", "gradient_mean", "l2_initial", "l2_final"]
    measures += ["cosine_initial", "cosine_final", *(f"weight_{i}" for i in range(10))]
    telemetry = [
        {"task": task, "seed": seed, "step": step}
        | {name: _value(task, seed, step, name) for name in measures}
        | {"test_error": _value(task, seed, step) if step % 4 == 0 else None}
        for task, seed, step in product(TASKS[:1], SEEDS, (0, 1, 2, 4, 8, 20, 40))
    ]
    pairs = [(0, 10), (0, 20), (10, 20)]
    scopes = [("all", 0), ("k0", 1), ("k0", 2), ("k10", 2)]
    signs = [
        {"task": task, "seed": seed, "step_1": first, "step_2": second, "scope": scope, "level": level}
        | {"changed": _value(task, seed, first, second, scope, level), "num_weights": 100}
        for task, seed, (first, second), (scope, level) in product(TASKS, SEEDS, pairs, scopes)
    ]
    curvature = [
        {"task": task, "seed": seed, "kind": "imp", "k": 0, "level": 0, "step": step}
        | {"top": 10 * _value(task, seed, step, "top"), "bottom": -_value(task, seed, step, "bottom"), "trace": 1.0}
        | {"negative_mass": _value(task, seed, step, "mass"), "overlap": _value(task, seed, step, "o") if step else None}
        | {"subspace": 10, "num_probes": 2, "num_examples": 100}
        for task, seed, step in product(TASKS, SEEDS, (0, 10, 20))
    ]
    events = [("gradient is smallest", 8.0, 4.0, 20.0), ("half of the accuracy", 20.0, 20.0, None), ("stable", None, None, None)]
    timeline = [
        {"task": task, "event": event, "of": "telemetry", "step": step, "low": low, "high": high, "num_seeds": 2}
        for task, (event, step, low, high) in product(TASKS, events)
    ]
    validation = [
        {"task": task, "seed": seed, "step": step, "validation_error": _value(task, seed, step, 1)}
        | {"test_error": _value(task, seed, step), "chosen": step == 20}
        for task, seed, step in product(TASKS, SEEDS, (10, 20))
    ]
    rows = {"validation": validation, "telemetry": telemetry, "signs": signs, "curvature": curvature, "timeline": timeline}
    return {name: table(each) for name, each in rows.items()}


def networks() -> pd.DataFrame:
    """Two networks, the second without a sparse level and with one seed."""
    first = {"task": "a", "network": "mlp", "dataset": "digits", "num_params": 12_060, "steps": 600, "batch_size": 64}
    first |= {
        "optimiser": "adam",
        "lr": 0.0012,
        "schedule": "constant",
        "warmup": 0,
        "accuracy": 0.975,
        "accuracy_sd": 0.004,
        "best_accuracy": 0.98,
    }
    first |= {"num_seeds": 3, "density": 0.168, "density_all": 0.172, "pruning": "iterative"}
    second = {
        "task": "b",
        "accuracy_sd": None,
        "num_seeds": 1,
        "density": None,
        "density_all": None,
        "warmup": 30_000,
        "lr": 0.03,
    }
    return pd.DataFrame([first, first | second])


def _retrained() -> list[dict[str, Any]]:
    """Runs of paper C from every kind of changed start."""
    changes = [comparisons.ROBUST, *LADDERS, *BRANCHES, ADAPTIVE, f"{comparisons.LR_REWINDING} | mask | weight_rewinding"]
    kept = dict.fromkeys(changes, 1.0) | {f"mask | prune(0.3, {criterion})": 0.7 for criterion in ("magnitude", "random")}
    found = product(TASKS, SEEDS, STEPS, (1, 2), kept.items())
    return [
        {"task": task, "seed": seed, "k": k, "kind": "imp", "level": level, "density": share * 0.5**level}
        | {"start": f"k{k} | {change}", "start_step": k}
        for task, seed, k, level, (change, share) in found
    ]


def _lines(who: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Points and sums of the lines between the solutions of three levels, and to those from perturbed starts."""
    k = who["k"]
    pairs = [("levels", f"k{k}", one, two) for one, two in combinations(range(3), 2)]
    pairs += [("perturbed", f"k{k} | {comparisons.ROBUST}", level, level) for level in (0, 1)]
    points, sums = [], []
    for (what, start, one, two), split in product(pairs, SPLITS):
        label = who | {"what": what, "start": start, "level_1": one, "level_2": two, "split": split, "alignment": "none"}
        value = _value(*label.values())
        points += [label | {"alpha": a, "error": _value(value, a), "loss": 1.0} for a in (0.0, 0.25, 0.5, 1.0)]
        ends = {"density_1": 0.5**one, "density_2": 0.5**two, "error_1": value, "error_2": value, "mean_end_error": value}
        sums.append(
            label | ends | {"max_error": 1.5 * value, "midpoint_error": _value(value), "barrier": _value(value, "barrier")}
        )
        aligned = ("weights", "activations") if what == "levels" and two == one + 1 else ()
        sums += [sums[-1] | {"alignment": how, "barrier": _value(value, how)} for how in aligned]
    return points, sums


def ladder() -> dict[str, pd.DataFrame]:
    """Ladders of three levels: paths, distances, magnitudes, spectra, and how much can be pruned."""
    names = ("paths", "barriers", "geometry", "magnitudes", "ratios", "cuts", "limits", "spectrum", "measured_limits", "outliers")
    rows = {name: list[dict[str, Any]]() for name in names}
    for task, seed, k in product(TASKS, SEEDS, STEPS):
        who = {"task": task, "seed": seed, "k": k}
        paths, barriers = _lines(who)
        rows["paths"] += paths
        rows["barriers"] += barriers
        points = list(product(("rewind", "solution", "projection"), range(3)))
        rows["geometry"] += [
            who | {"point_1": p, "level_1": i, "point_2": q, "level_2": j, "distance": 1 + _value(task, seed, k, p, i, q, j)}
            for (p, i), (q, j) in combinations(points, 2)
        ]
        starts = [f"k{k}", *(f"k{k} | {change}" for change in (*LADDERS, *BRANCHES))]
        rows["magnitudes"] += [
            who | {"start": start, "level": level, "of": of, "quantile": q, "ratio": 3 * q * _value(task, seed, start, level, of)}
            for start, level, of, q in product(starts, range(3), ("solution", "projection"), (0.0, 0.2, 0.6, 1.0))
            if start == f"k{k}" or (level and of == "solution")
        ]
        tried = who | {"start": f"k{k} | {ADAPTIVE}", "highest_loss": 0.5, "threshold": 1.0}
        rows["ratios"] += [
            tried | {"level": level, "fraction": f, "chosen": f == 0.1 * level, "density": (1 - f) ** level}
            for level, f in product((1, 2), (0.1, 0.2))
        ]
        for level, criterion, f in product(range(3), ("magnitude", "random"), (0.3, 0.5)):
            at = who | {"level": level, "criterion": criterion, "fraction": f}
            rows["cuts"].append(at | {"distance": _value(*at.values()), "train_error": 0.1, "test_error": 0.1})
        for level, operator, i in product(range(3), ("hessian", "gauss_newton"), range(1, 4)):
            at = who | {"level": level, "operator": operator}
            limit, distance = _value(*at.values()) / i, i / (3 + seed)
            band = {"clamped": limit, "unsettled": limit, "lower": 0.9 * limit, "upper": min(1.1 * limit, 1.0)}
            rows["limits"].append(at | {"epsilon": 0.1, "distance": distance, "c": 0.2 / distance**2} | band)
            node = {"node": i * _value(*at.values()) - 1, "weight": 1 / 3, "index": i - 1, "vector": "rademacher", "probe": 0}
            rows["spectrum"].append(at | {"kind": "imp", "step": 20, "num_examples": 100} | node)
            if operator == "hessian":
                ways = {kind: limit * share for kind, share in (("random", 0.7), ("magnitude", 0.8), ("curvature", 0.5))}
                known = who | {"level": level, "distance": distance, "gauss_newton": limit, "hessian": limit, "num_radii": 8}
                rows["measured_limits"] += [known | {"direction": kind, "share": share} for kind, share in ways.items()]
                tops = {"gauss_newton": 3 * limit, "hessian": 3.1 * limit, "class_means": 2 * limit}
                rows["outliers"].append(who | {"level": level, "rank": i} | tops)
    distances = product((1.0, 2.0), (0, 5, 10))
    wells = [
        {
            "dimension": 10,
            "epsilon": 0.1,
            "distance": r,
            "subspace": d,
            "probability": d / 10 / r,
            "threshold": 4 * r,
            "num_trials": 20,
        }
        for r, d in distances
    ]
    return {name: table(each) for name, each in rows.items()} | {"wells": pd.DataFrame(wells)}


def planes() -> dict[str, pd.DataFrame]:
    """Both kinds of plane at two levels, with what is marked in them and the sublevel sets."""
    marked = {
        "pruning": {"solution": (0.0, 2.0), "projection": (0.0, 0.0), "next": (2.0, 0.0)},
        "directions": {"solution": (0.0, 0.0), "magnitude": (1.0, 0.0), "random": (0.5, 2.0)},
    }
    errors, marks, sets = [], [], []
    for task, seed, k, level, plane in product(TASKS, SEEDS, STEPS, (0, 1), marked):
        who = {"task": task, "seed": seed, "k": k, "level": level, "plane": plane}
        grid = product((-1.0, 0.0, 1.0, 2.0, 3.0), repeat=2)
        errors += [who | {"x": x, "y": y, "test_error": _value(*who.values(), x, y), "test_loss": 1.0} for x, y in grid]
        marks += [who | {"mark": m, "x": x, "y": y, "test_error": 0.1, "test_loss": 1.0} for m, (x, y) in marked[plane].items()]
        sets.append(who | {"threshold": 0.5, "share": 0.5})
    return {"planes": pd.DataFrame(errors), "marks": pd.DataFrame(marks), "sets": pd.DataFrame(sets)}


def claims() -> pd.DataFrame:
    """Verdicts of every sort on two settings."""
    verdicts = ("holds", "holds", "fails", "undecided", "not measured")
    rows = [
        {"claim": f"c{i}", "family": f"paper {family}", "setting": task, "text": "A claim.", "verdict": verdict, "level": 0.95}
        | ({} if verdict == "not measured" else {"measured": 1.0, "low": 0.25, "high": 0.5})
        for family, task, (i, verdict) in product("AB", TASKS, enumerate(verdicts))
    ]
    return pd.DataFrame(rows)


def labelled(axes: Any) -> list[Any]:
    """The lines of a panel that a legend names: not those of zero, nor crosses."""
    return [line for line in axes.lines if not str(line.get_label()).startswith("_")]
