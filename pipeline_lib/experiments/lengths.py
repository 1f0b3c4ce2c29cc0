"""Lengths of training in a config: plain steps, `62400it`, or epochs such as `160ep`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

_LENGTH = re.compile(r"(\d+(?:\.\d+)?)(ep|it)")


def steps_per_epoch(task: Mapping[str, Any]) -> int:
    """Count the whole batches of an epoch of a task; the last partial one is dropped."""
    num_train, batch_size = task["dataset"]["num_train"], task["batch_size"]
    if batch_size > num_train:
        raise ValueError(f"batch_size must be at most num_train = {num_train}, got {batch_size}; lower it")
    return num_train // batch_size


def to_steps(value: Any, task: Mapping[str, Any]) -> Any:
    """Turn every length inside a value into a number of steps; all else stays as it is.

    Args:
        value: a length, or a mapping or list that may hold some.
        task: gives the steps of an epoch.

    Raises:
        ValueError: a length is not a whole number of steps.
    """
    if isinstance(value, Mapping):
        return {key: to_steps(each, task) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_steps(each, task) for each in value]
    match = _LENGTH.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return value
    steps = Fraction(match[1]) * (steps_per_epoch(task) if match[2] == "ep" else 1)
    if steps.denominator != 1:
        raise ValueError(f"length must be a whole number of steps, got {value!r}, which is {float(steps):g}; choose another")
    return int(steps)


def read(text: str, task: Mapping[str, Any]) -> int:
    """Read a length that stands inside a text, where a plain number of steps is text too: `500`, `500it`, `2ep`."""
    return int(to_steps(int(text) if text.isdigit() else text, task))
