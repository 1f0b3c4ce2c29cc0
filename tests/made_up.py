"""Made-up tables, for drawing figures."""

from __future__ import annotations

from itertools import product
from typing import Any

import pandas as pd

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
        who = tuple(s.values())
        rows["runs"] += [s | {"order": order, "test_error": _value(who, order)} for order in (0, 1)]
        curve = product((5, 10), ("batch", "test"))
        rows["curves"] += [s | {"order": 0, "step": t, "split": p, "error": _value(who, t, p), "loss": 1.0} for t, p in curve]
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
    found = {name: pd.DataFrame(each) for name, each in rows.items()}
    return found | {"networks": networks()}


def networks() -> pd.DataFrame:
    """Two networks, the second without a sparse level and with one seed."""
    first = {"task": "a", "network": "mlp", "dataset": "digits", "num_params": 12_060, "steps": 600, "batch_size": 64}
    first |= {"optimiser": "adam", "lr": 0.0012, "schedule": "constant", "warmup": 0, "accuracy": 0.975, "accuracy_sd": 0.004}
    first |= {"num_seeds": 3, "density": 0.168, "pruning": "iterative"}
    second = {"task": "b", "accuracy_sd": None, "num_seeds": 1, "density": None, "warmup": 30_000, "lr": 0.03}
    return pd.DataFrame([first, first | second])
