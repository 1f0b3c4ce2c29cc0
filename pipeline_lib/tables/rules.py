"""Stable, matching, onset and the dense reference: one rule each, which tables, claims, figures and refinement share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from pipeline_lib.core.definitions import MATCHING_WITHIN, NEAR_CHANCE, STABLE_BELOW

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

NOWHERE = float("inf")


class Onset(NamedTuple):
    """From which rewind step of a grid networks have a property.

    Args:
        k: the first step from which all later ones have it, too; infinite if the last one has not.
        first_k: the first step that has it, whatever later ones do; infinite if none has.
        before: the last step of the grid before k, so that the onset lies between the two; NaN if k is the first one.
    """

    k: float
    first_k: float
    before: float


def counted(pairs: pd.DataFrame) -> pd.Series:
    """Give each pair's instability as it counts for stability: infinite where a run diverged, or nothing was left to lose.

    Args:
        pairs: with `instability` and `headroom`, what it could at most be: the error of guessing less the mean of the ends.
    """
    return pairs["instability"].where(pairs["headroom"] >= NEAR_CHANCE).fillna(NOWHERE)


def is_stable(pairs: pd.DataFrame) -> bool:
    """Tell whether networks are stable: their mean instability, as `counted`, is below two points (G-10)."""
    return bool(counted(pairs).mean() < STABLE_BELOW)


def dense(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep the dense reference of each task: one network a seed, from the first rewind step under the ladder's own order.

    Args:
        frame: rows of runs or of their curves, with `task`, `kind`, `k` and `order`.
    """
    own = frame[frame["kind"] == "dense"]
    for name in ("k", "noise_order"):
        own = own[own[name] == own.groupby("task")[name].transform("min")]
    return own


def matching_error(errors: Sequence[float] | np.ndarray | pd.Series) -> np.ndarray:
    """Compute the highest mean error that matches: that of dense networks, plus one deviation or 0.2 points if that is more.

    Args:
        errors: (..., seeds) of dense networks, shares; those of diverged runs are NaN and do not count.

    Returns:
        (...), NaN where there is no dense network.

    Source: paper C, definition 2.2; ambiguity G-11.
    """
    import numpy as np

    found = np.asarray(errors, dtype=float)
    known = np.isfinite(found)
    num = known.sum(-1)
    mean = np.where(known, found, 0).sum(-1) / np.where(num, num, np.nan)
    squares = np.where(known, (found - mean[..., None]) ** 2, 0).sum(-1)
    return mean + np.maximum(np.sqrt(squares / np.maximum(num - 1, 1)), MATCHING_WITHIN)


def matches(mean_error: np.ndarray | float, highest: np.ndarray | float) -> np.ndarray:
    """Tell whether mean errors are at most the highest that match; NaN matches nothing."""
    import numpy as np

    return np.asarray(mean_error <= highest)


def onset(steps: Sequence[int], good: Sequence[bool] | np.ndarray) -> Onset:
    """Find from which rewind step on networks have a property.

    Args:
        steps: the grid of rewind steps, ascending.
        good: whether each has the property.
    """
    first = first_places(good)
    lasting = lasting_places(good)
    places = [float(step) for step in steps] + [NOWHERE]
    at = int(lasting)
    return Onset(places[at], places[int(first)], places[at - 1] if at else float("nan"))


def first_places(good: Sequence[bool] | np.ndarray) -> np.ndarray:
    """Find the first good place along the first axis, their number where there is none."""
    import numpy as np

    has = np.asarray(good, dtype=bool)
    return np.where(has.any(0), has.argmax(0), len(has))


def lasting_places(good: Sequence[bool] | np.ndarray) -> np.ndarray:
    """Find the first place along the first axis from which all later ones are good, their number where there is none."""
    import numpy as np

    return first_places(np.logical_and.accumulate(np.asarray(good, dtype=bool)[::-1])[::-1])


def highest_matching(runs: pd.DataFrame, task: str) -> float:
    """Compute the highest mean error that matches the dense reference of a task; NaN if there is none.

    Args:
        runs: the runs from plain starts.
        task: its name.
    """
    own = dense(runs[runs["task"] == task])
    return float(matching_error(own["test_error"].to_numpy()))
