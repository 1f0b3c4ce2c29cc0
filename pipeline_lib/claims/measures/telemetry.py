"""The dense network in its first steps: means over seeds at the steps that telemetry has written down.

Source: paper A, section 4 and figure 3; which gradient and which weights are ambiguities A-X15 and A-X16.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence

from pipeline_lib.claims import evidence
from pipeline_lib.claims.evidence import Found, Frames, Measured, Points, fewest, minus

_NEAR = 10  # steps by which a wanted one may be missed
_PERCENT = ("accuracy", "signs_changed")


def _followed(frames: Frames, task: str, quantity: str, least: int) -> Points:
    """Average a quantity at each step at which it was looked at; empty where a seed lacks a value."""
    if "telemetry" not in frames:
        return {}
    rows = frames["telemetry"][frames["telemetry"]["task"] == task]
    values = 1 - rows["test_error"] if quantity == "accuracy" else rows[quantity]
    found = (100 * values if quantity in _PERCENT else values).groupby(rows["step"]).agg(["mean", "std", "count", "size"])
    seen = found[found["count"] > 0]
    if (seen["count"] < seen["size"]).any() or (seen["count"] < least).any():
        return {}
    columns = (seen[name].tolist() for name in ("mean", "std", "count"))
    return {
        step: Measured(mean, None if math.isnan(deviation) else deviation, num)
        for step, mean, deviation, num in zip(seen.index.tolist(), *columns, strict=True)
    }


def _nearest(points: Points, step: int) -> int | None:
    """Find the step next to the wanted one; the later of two."""
    near = min(points, key=lambda each: (abs(each - step), -each), default=None)
    return near if near is not None and abs(near - step) <= _NEAR else None


def _rates(points: Points, borders: Sequence[int]) -> list[float] | None:
    """Give the change a step between successive steps; None where one is missing."""
    steps = [near for near in (_nearest(points, border) for border in borders) if near is not None]
    if len(set(steps)) < len(borders):
        return None
    return [(points[b].value - points[a].value) / (b - a) for a, b in itertools.pairwise(steps)]


def _level(points: Points, from_step: int, to_step: int) -> float | None:
    """Average over steps, by the trapezoidal rule, since steps are written down ever more rarely."""
    first, last = _nearest(points, from_step), _nearest(points, to_step)
    if first is None or last is None or first == last:
        return None
    inside = itertools.pairwise(sorted(step for step in points if first <= step <= last))
    return sum((b - a) * (points[a].value + points[b].value) / 2 for a, b in inside) / (last - first)


def _smoothed(points: Points, from_step: int, to_step: int, window: int) -> dict[int, float] | None:
    """Average each step's neighbours within a window of so many steps."""
    if _nearest(points, from_step) is None or _nearest(points, to_step) is None:
        return None
    reach, wanted = window // 2, [step for step in points if from_step <= step <= to_step]
    around = {step: [points[other].value for other in points if abs(other - step) <= reach] for step in wanted}
    return {step: statistics.fmean(values) for step, values in around.items()} or None


def _ratio(first: float, second: float) -> float:
    """Divide; infinite by 0."""
    return first / second if second else math.copysign(math.inf, first)


def telemetry_at(frames: Frames, task: str, sparse_level: int, quantity: str, step: int, least: int = 3) -> Found:
    """Give the mean over seeds at the step next to this one."""
    points = _followed(frames, task, quantity, least)
    near = _nearest(points, step)
    return None if near is None else points[near]


def telemetry_share(frames: Frames, task: str, sparse_level: int, step: int, least: int = 3) -> Found:
    """Divide the test accuracy at a step by that of the dense network after training."""
    early, final = telemetry_at(frames, task, sparse_level, "accuracy", step, least), evidence.dense_accuracy(frames, task, least)
    if early is None or final is None or final.value == 0:
        return None
    return Measured(early.value / final.value, None, min(early.num, final.num))


def telemetry_change(
    frames: Frames, task: str, sparse_level: int, quantity: str, from_step: int, to_step: int, least: int = 3
) -> Found:
    """Subtract the mean at one step from that at a later one."""
    early, late = (telemetry_at(frames, task, sparse_level, quantity, step, least) for step in (from_step, to_step))
    return minus(late, early)


def telemetry_rate_ratio(
    frames: Frames, task: str, sparse_level: int, quantity: str, from_step: int, border: int, to_step: int, least: int = 3
) -> Found:
    """Divide the change a step before a border by that after it; negative where the quantity turns."""
    points = _followed(frames, task, quantity, least)
    rates = _rates(points, [from_step, border, to_step])
    return None if rates is None else Measured(_ratio(*rates), None, fewest(points))


def telemetry_rate_rises(
    frames: Frames, task: str, sparse_level: int, quantity: str,
    borders: Sequence[int] = (10, 100, 500, 1000, 2000, 4000), least: int = 3,
) -> Found:  # fmt: skip
    """Count the borders between windows at which the size of the change a step rises."""
    points = _followed(frames, task, quantity, least)
    rates = _rates(points, borders)
    if rates is None:
        return None
    return Measured(float(sum(abs(b) > abs(a) for a, b in itertools.pairwise(rates))), None, fewest(points))


def telemetry_level_ratio(
    frames: Frames, task: str, sparse_level: int, quantity: str, from_step: int, to_step: int, over_from: int, over_to: int,
    least: int = 3,
) -> Found:  # fmt: skip
    """Divide the mean over some steps by that over others."""
    points = _followed(frames, task, quantity, least)
    first, second = _level(points, from_step, to_step), _level(points, over_from, over_to)
    return None if first is None or second is None else Measured(_ratio(first, second), None, fewest(points))


def gradient_minimum(
    frames: Frames, task: str, sparse_level: int, from_step: int, to_step: int, window: int = 25, least: int = 3
) -> Found:
    """Find the step at which the smoothed norm of the gradient is lowest."""
    points = _followed(frames, task, "gradient_norm", least)
    smooth = _smoothed(points, from_step, to_step, window)
    return None if smooth is None else Measured(float(min(smooth, key=smooth.__getitem__)), None, fewest(points))


def gradient_rebound(
    frames: Frames, task: str, sparse_level: int, from_step: int, to_step: int, over_from: int, over_to: int,
    window: int = 25, least: int = 3,
) -> Found:  # fmt: skip
    """Divide the mean norm of the gradient over some steps by its smoothed minimum over others."""
    points = _followed(frames, task, "gradient_norm", least)
    level, smooth = _level(points, from_step, to_step), _smoothed(points, over_from, over_to, window)
    return None if level is None or smooth is None else Measured(_ratio(level, min(smooth.values())), None, fewest(points))


def event_step(frames: Frames, task: str, sparse_level: int, event: str, least: int = 3) -> Found:
    """Give the step of an event of the timeline; infinite where it did not happen while it was watched for."""
    frame = frames.get("timeline")
    if frame is None:
        return None
    rows = frame[(frame["task"] == task) & (frame["event"] == event) & (frame["num_seeds"] >= least)]
    if len(rows) != 1:
        return None
    return Measured(float(rows["step"].fillna(evidence.NOWHERE).iloc[0]), None, int(rows["num_seeds"].iloc[0]))
