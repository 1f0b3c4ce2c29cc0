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
    rows = {name: list[dict[str, Any]]() for name in ("runs", "curves", "interpolation", "instability")}
    for s in _settings():
        who = tuple(s.values())
        rows["runs"] += [s | {"order": order, "test_error": _value(who, order)} for order in (0, 1)]
        curve = product((5, 10), ("batch", "test"))
        rows["curves"] += [s | {"order": 0, "step": t, "split": p, "error": _value(who, t, p), "loss": 1.0} for t, p in curve]
        pair = s | {"order_1": 0, "order_2": 1}
        line = product((0.0, 0.5, 1.0), SPLITS)
        rows["interpolation"] += [pair | {"alpha": a, "split": p, "error": _value(who, a, p), "loss": 1.0} for a, p in line]
        ends = {"instability": _value(who), "l2_params": _value(who, 1), "l2_weights": _value(who, 2)}
        rows["instability"] += [pair | ends | {"split": split} for split in SPLITS]
    return {name: pd.DataFrame(found) for name, found in rows.items()}
