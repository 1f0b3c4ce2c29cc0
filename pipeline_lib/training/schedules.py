"""Learning-rate schedules: functions of the step alone, as factors of the peak rate.

Every public function here is a name that `schedule.name` in a task may take; its arguments are the schedule's options. The
factor at step t is that of the update from W_t to W_{t+1}. `warmup` is the number of steps over which the factor rises linearly
from 0, on top of everything else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from pipeline_lib.core.values import Length, Positive, Share

Schedule = Callable[[int], float]


def _warm(warmup: int, rest: Schedule) -> Schedule:
    if not warmup:
        return rest
    return lambda step: min(1.0, step / warmup) * rest(step)


def _decay(length: int, begin: int, shape: Callable[[float], float]) -> Schedule:
    if length <= begin:
        raise ValueError(f"length must be above warmup = {begin}, got {length}; it is the step at which the decay ends")
    return lambda step: shape(min(1.0, max(0.0, (step - begin) / (length - begin))))


def constant(warmup: Length = 0) -> Schedule:
    """Keep the peak rate throughout."""
    return _warm(warmup, lambda step: 1.0)


def step_drops(drops: Sequence[Length], factor: Positive = 10.0, warmup: Length = 0) -> Schedule:
    """Divide the rate by `factor` at each of the steps in `drops`; the update at step `drops[i]` uses the lower rate."""
    if list(drops) != sorted(drops):
        raise ValueError(f"drops must be in ascending order, got {list(drops)}; sort the steps")
    return _warm(warmup, lambda step: factor ** -sum(step >= drop for drop in drops))


def cosine_decay(length: Length, final: Share = 0.0, warmup: Length = 0) -> Schedule:
    """Fall along half a cosine from 1, at the end of the warm-up, to `final`, at step `length`. Source: paper C, appendix B."""
    return _warm(warmup, _decay(length, warmup, lambda share: final + (1 - final) * (1 + math.cos(math.pi * share)) / 2))


def linear_decay(length: Length, final: Share = 0.0, warmup: Length = 0) -> Schedule:
    """Fall linearly from 1, at the end of the warm-up, to `final`, at step `length`. Source: paper B, Table 1 (Inception-v3)."""
    return _warm(warmup, _decay(length, warmup, lambda share: 1 + (final - 1) * share))
