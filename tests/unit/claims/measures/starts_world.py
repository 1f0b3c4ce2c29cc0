"""Accuracies from any start, written out seed by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import made_up
import pandas as pd

from pipeline_lib.claims.evidence import Measured
from pipeline_lib.core import registry

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
            rows.append(who | {"seed": seed, "order": order, "test_error": 1 - (values[seed] + 3 * order) / 100})
    return made_up.table(rows)


def world(accuracies: Accuracies, **others: pd.DataFrame) -> Frames:
    """Runs of IMP, divided as measures see them, and other tables."""
    return made_up.divided({"runs": runs(accuracies), **others})


def ask(frames: Frames, name: str, **options: Any) -> Measured | None:
    """What a claim's measure says of the task."""
    bound = registry.bind("measures", {"name": name, **options}, ("frames", "task", "sparse_level"), "measure")
    found: Measured | None = registry.call("measures", bound, frames=frames, task="net", sparse_level=2)
    return found


def value(frames: Frames, name: str, **options: Any) -> float:
    """The measured value, where there has to be one."""
    found = ask(frames, name, **options)
    assert found is not None
    return found.value


def parts(found: Measured | None) -> tuple[float, float | None, int]:
    """Value, deviation and number, where something has to be measured."""
    assert found is not None
    return found.value, found.spread, found.num
