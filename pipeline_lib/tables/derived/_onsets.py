"""From which rewind step on networks have a property, and where resampled seeds put it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pipeline_lib.tables import rules
from pipeline_lib.tables.derived._resampling import interval, resamples

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


def by_seed(values: pd.Series, frame: pd.DataFrame) -> pd.DataFrame:
    """Average values by rewind step (rows) and seed (columns); infinite where one is missing."""
    return values.groupby([frame["k"], frame["seed"]]).mean().unstack("seed").fillna(rules.NOWHERE)


def _step(value: float) -> int | None:
    return int(value) if math.isfinite(value) else None


def onset(table: pd.DataFrame, is_good: Callable[[np.ndarray], np.ndarray], *name: str | int) -> dict[str, Any]:
    """Find from which step on networks have a property, and resample that over seeds.

    Args:
        table: rewind steps by seeds; the columns are what is resampled.
        is_good: (resamples, seeds) numbers of columns -> (steps, resamples), whether each step has the property.
        name: of the random draw.
    """
    import numpy as np

    num, steps = len(table.columns), [int(k) for k in table.index]
    samples, probabilities = resamples(num, *name)
    places = rules.lasting_places(is_good(samples))
    found = np.array([*steps, rules.NOWHERE])[places]
    low, high, words = interval(found, probabilities, num)
    whole = rules.onset(steps, is_good(np.arange(num)[None])[:, 0])
    return {
        **{"k": _step(whole.k), "first_k": _step(whole.first_k), "before": _step(whole.before)},
        **{"low": _step(low), "high": _step(high), "interval": words},
        **{"found": float(probabilities[np.isfinite(found)].sum()), "num_seeds": num},
    }


def matching(group: pd.DataFrame, dense: pd.DataFrame, *name: str | int) -> dict[str, Any]:
    """Resample the seeds of sparse networks and of the dense reference together: each sparse one belongs to its dense one."""
    table = by_seed(group["test_error"], group)
    values = table.to_numpy()
    reference = dense.groupby("seed")["test_error"].mean().reindex(table.columns).to_numpy()

    def is_good(samples: np.ndarray) -> np.ndarray:
        return rules.matches(values[:, samples].mean(-1), rules.matching_error(reference[samples]))

    return onset(table, is_good, "matching", *name)
