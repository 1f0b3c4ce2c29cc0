"""Made-up tables, for drawing figures."""

from __future__ import annotations

from itertools import product
from typing import Any

import pandas as pd

from pipeline_lib import families
from pipeline_lib.columns import FOLLOWED

KINDS = ("imp", "random_prune", "reinit")
TASKS, SEEDS, STEPS, SPLITS = ("a", "b"), (0, 1), (0, 10), ("train", "test")


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
        for name in ("runs", "curves", "interpolation", "instability", "distances", "throughout", "layers")
    }
    for s in _settings():
        who, plain = tuple(s.values()), s | {"start": f"k{s['k']}"}
        begins = plain | {"start_step": s["k"]}
        rows["runs"] += [begins | {"order": order, "test_error": _value(who, order)} for order in (0, 1)]
        curve = product((5, 10), ("batch", "test"))
        rows["curves"] += [plain | {"order": 0, "step": t, "split": p, "error": _value(who, t, p), "loss": 1.0} for t, p in curve]
        pair = s | {"order_1": 0, "order_2": 1}
        line = list(product((0.0, 0.5, 1.0), SPLITS))
        both = [("averaged", 1.0), ("recomputed", 0.5)]
        for batchnorm, scale in both:
            label = pair | {"batchnorm": batchnorm}
            rows["interpolation"] += [
                label | {"alpha": a, "split": p, "error": scale * _value(who, a, p), "loss": 1.0} for a, p in line
            ]
            ends = {"instability": scale * _value(who), "mean_end_error": 0.1, "max_error": 0.1 + scale * _value(who)}
            rows["instability"] += [label | ends | {"split": split} for split in SPLITS]
        rows["distances"].append(pair | {"l2_params": _value(who, 1), "l2_weights": _value(who, 2)})
        if not s["level"]:
            rows["layers"] += [pair | {"block": b, "split": "test", "rise": _value(who, b)} for b in ("stem", "body.fc2")]
            rows["throughout"] += [
                pair | {"step": t, "split": "test", "instability": _value(who, t), "mean_end_error": 0.1} for t in (20, 40)
            ]
    for s in _changed():
        value = _value(*s.values())
        rows["runs"].append(s | {"order": 0, "test_error": value})
        run = {name: s[name] for name in s if name != "start_step"}
        rows["curves"].append(run | {"order": 0, "step": 10, "split": "test", "error": value, "loss": 1.0})
    found = {name: pd.DataFrame(each) for name, each in rows.items()}
    return found | {"networks": networks(), "perturbations": perturbations(), "correlations": correlations()} | early()


def _changed() -> list[dict[str, Any]]:
    """Runs of two levels from every changed start that figures know, and from one that they do not."""
    found = []
    for task, seed, k, level in product(TASKS, SEEDS, STEPS, (1, 2)):
        texts = {"imp": [*families.EVERY, "sphere(1)"], "random_prune": [], "reinit": []}
        for kind, calls in texts.items():
            changes = [*calls, f"mask | {families.ROTATION} for 40ep"]
            taught = kind == "imp" and k == 0 and task == TASKS[0]
            changes += [f"{p} for {n}" for p, n in product(families.PRETEXTS, ("2ep", "40ep")) if taught]
            who = {"task": task, "seed": seed, "k": k, "kind": kind, "level": level, "density": 0.5**level}
            found += [who | {"start": f"k{k} | {c}", "start_step": 0 if " for " in c else k} for c in changes]
    return found


def perturbations() -> pd.DataFrame:
    """Sizes of the changes of whole networks and of one layer."""
    measured = [s for s in _changed() if s["start"].partition(" | ")[2] in {*families.EVERY, "sphere(1)"}]
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
    measures += ["cosine_initial", "cosine_final", *(f"weight_{i}" for i in range(FOLLOWED))]
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
    rows = {"telemetry": telemetry, "signs": signs, "curvature": curvature, "timeline": timeline}
    return {name: pd.DataFrame(each) for name, each in rows.items()}


def networks() -> pd.DataFrame:
    """Two networks, the second without a sparse level and with one seed."""
    first = {"task": "a", "network": "mlp", "dataset": "digits", "num_params": 12_060, "steps": 600, "batch_size": 64}
    first |= {"optimiser": "adam", "lr": 0.0012, "schedule": "constant", "warmup": 0, "accuracy": 0.975, "accuracy_sd": 0.004}
    first |= {"num_seeds": 3, "density": 0.168, "pruning": "iterative"}
    second = {"task": "b", "accuracy_sd": None, "num_seeds": 1, "density": None, "warmup": 30_000, "lr": 0.03}
    return pd.DataFrame([first, first | second])
