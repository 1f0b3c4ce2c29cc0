"""Made-up tables of checkpoints that a config brings: one pair, one plane, two spectra."""

from __future__ import annotations

from itertools import product

import pandas as pd


def tables(task: str) -> dict[str, pd.DataFrame]:
    """Give the tables that figures of checkpoints are drawn from."""
    pair = {"task": task, "seed": 0, "checkpoint_1": "a", "checkpoint_2": "b"}
    three = {"task": task, "seed": 0, "state_1": "a", "state_2": "b", "state_3": "c"}
    line = product((0.0, 0.5, 1.0), ("train", "test"))
    grid = product((0.0, 1.0, 2.0), (0.0, 1.0, 2.0))
    corners = {"a": (0.0, 0.0), "b": (2.0, 0.0), "c": (0.5, 1.5)}
    spectra = product(("a", "b"), (0, 1), (-0.1, 0.5, 3.0))
    return {
        "checkpoint_paths": pd.DataFrame(pair | {"alpha": a, "split": s, "error": a * (1 - a) + 0.1} for a, s in line),
        "triangles": pd.DataFrame(three | {"x": x, "y": y, "test_error": 0.1 + x * y / 10} for x, y in grid),
        "corners": pd.DataFrame(three | {"state": name, "x": x, "y": y} for name, (x, y) in corners.items()),
        "checkpoint_spectra": pd.DataFrame(
            {"task": task, "seed": 0, "checkpoint": name, "probe": probe, "node": node, "weight": 1 / 3}
            for name, probe, node in spectra
        ),
    }
