"""What schedules are made of."""

from __future__ import annotations

from collections.abc import Callable

from pipeline_lib.core.types import Schedule


def warm(warmup: int, rest: Schedule) -> Schedule:
    """Let the factor rise from 0 over the first steps, on top of a schedule."""
    if not warmup:
        return rest
    return lambda step: min(1.0, step / warmup) * rest(step)


def decay(length: int, begin: int, shape: Callable[[float], float]) -> Schedule:
    """Go from step `begin` to step `length` along a shape over [0, 1].

    Raises:
        ValueError: the end is not after the beginning.
    """
    if length <= begin:
        raise ValueError(f"length must be above warmup = {begin}, got {length}; it is the step at which the decay ends")
    return lambda step: shape(min(1.0, max(0.0, (step - begin) / (length - begin))))
