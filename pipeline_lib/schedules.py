"""Learning-rate schedules: functions of the step alone, as factors of the peak rate.

Every public function here is a name that `schedule.name` in a task may take; its arguments are the schedule's options.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

Schedule = Callable[[int], float]


def constant() -> Schedule:
    """Keep the peak rate throughout."""
    return lambda step: 1.0


def step_drops(drops: Sequence[int], factor: float = 10.0) -> Schedule:
    """Divide the rate by `factor` at each of the steps in `drops`; the update at step `drops[i]` uses the lower rate."""
    if list(drops) != sorted(drops):
        raise ValueError(f"drops must be in ascending order, got {list(drops)}; sort the steps")
    return lambda step: factor ** -sum(step >= drop for drop in drops)
