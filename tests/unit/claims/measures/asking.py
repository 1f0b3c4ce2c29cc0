"""Ask a measure of made-up tables, as a claim would."""

from __future__ import annotations

from typing import Any

import pandas as pd

from pipeline_lib.claims import evidence
from pipeline_lib.claims.evidence import Evidence, Missing
from pipeline_lib.claims.rules import Measured
from pipeline_lib.core import registry

Frames = dict[str, pd.DataFrame]


def ask(frames: Frames, name: str, least: int = 3, sparse: int = 2, **options: Any) -> Measured | None:
    """What a claim's measure says of the task `net`; None where something is missing."""
    bound = registry.bind("measures", {"name": name, **options}, ("ev",), "measure")
    own = evidence.of_task(frames, "net")
    try:
        found: Measured = registry.call(
            "measures", bound, ev=Evidence(own, sparse, 0.95, least, evidence.seeds_of({k: f for k, f in own.items() if len(f)}))
        )
    except Missing:
        return None
    return found


def value(frames: Frames, name: str, **options: Any) -> float:
    """The measured value, where there has to be one."""
    found = ask(frames, name, **options)
    assert found is not None
    return found.value


def parts(found: Measured | None) -> tuple[float, int]:
    """Value and number of replicates, where something has to be measured."""
    assert found is not None
    return found.value, found.num


def is_open(found: Measured | None) -> bool:
    """Whether anything is possible."""
    return found is not None and (found.low, found.high) == (-float("inf"), float("inf"))
