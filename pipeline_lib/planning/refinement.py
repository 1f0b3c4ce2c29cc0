"""The next round of an adaptive rewind grid: halve the gap in which networks become stable."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pipeline_lib.tables import rules, tabulation

if TYPE_CHECKING:
    import pandas as pd


def next_step(stable: Mapping[int, bool], until: float) -> int | None:
    """Choose the rewind step to measure next.

    The onset lies between the last unstable step and the next one. Their middle is next, unless the gap is at most `until` times
    the onset, or nothing lies between.

    Args:
        stable: whether networks are, by rewind step.
        until: relative width at which to stop.

    Returns:
        The step, or None where the onset is narrow enough, or outside the grid.
    """
    steps = sorted(stable)
    onset = rules.onset(steps, [stable[k] for k in steps])
    if not (math.isfinite(onset.k) and math.isfinite(onset.before)):
        return None
    first, last = int(onset.k), int(onset.before)
    return None if first - last <= max(1, until * first) else (last + first) // 2


def refined(frame: pd.DataFrame, grids: Mapping[str, Sequence[int]], level: int, until: float) -> dict[str, list[int]]:
    """Add the next rewind step to each task's grid.

    Args:
        frame: the table `means`.
        grids: rewind steps of each task so far.
        level: whose onset is sought: 0 for dense networks, else IMP's at that level.
        until: relative width at which to stop.

    Returns:
        The longer grids, of those tasks that need another round.
    """
    chosen = tabulation.of_kind(frame[(frame["split"] == "test") & (frame["batchnorm"] == "averaged")], "imp")
    chosen = chosen[chosen["level"] == level]
    longer = {}
    for task, steps in grids.items():
        own = chosen[chosen["task"] == task]
        found = next_step(dict(zip(own["k"].tolist(), own["stable"].tolist(), strict=True)), until) if len(own) else None
        if found is not None:
            longer[task] = sorted({*steps, found})
    return longer
