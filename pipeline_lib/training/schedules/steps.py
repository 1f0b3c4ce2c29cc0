"""Rates that stay as they are between steps: constant, and with drops."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline_lib.core.types import Schedule
from pipeline_lib.core.values import Length, Positive
from pipeline_lib.training.schedules._parts import warm


def constant(warmup: Length = 0) -> Schedule:
    """Keep the peak rate throughout."""
    return warm(warmup, lambda step: 1.0)


def step_drops(drops: Sequence[Length], factor: Positive = 10.0, warmup: Length = 0) -> Schedule:
    """Divide the rate by `factor` at each of the steps in `drops`; the update at step `drops[i]` uses the lower rate."""
    if list(drops) != sorted(drops):
        raise ValueError(f"drops must be in ascending order, got {list(drops)}; sort the steps")
    return warm(warmup, lambda step: factor ** -sum(step >= drop for drop in drops))
