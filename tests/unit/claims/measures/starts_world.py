"""Accuracies from any start, written out seed by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import made_up
import pandas as pd

Frames = dict[str, pd.DataFrame]
Accuracies = Mapping[tuple[str, int], Sequence[float]]


def runs(accuracies: Accuracies, kind: str = "imp") -> pd.DataFrame:
    """One run a seed, in percent, by start and level; a later order is three points better and beside the point."""
    rows = []
    for (start, level), values in accuracies.items():
        who = {
            "task": "net",
            "kind": kind,
            "start": start,
            "k": int(start.split(" ")[0][1:]),
            "level": level,
            "density": 0.8**level,
        }
        for order, seed in ((order, seed) for order in (0, 1) for seed in range(len(values))):
            rows.append(who | {"seed": seed, "noise_order": order, "test_error": 1 - (values[seed] + 3 * order) / 100})
    return made_up.table(rows)


def world(accuracies: Accuracies, **others: pd.DataFrame) -> Frames:
    """Runs of IMP, divided as measures see them, and other tables."""
    return made_up.divided({"runs": runs(accuracies), **others})
