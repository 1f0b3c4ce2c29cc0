"""The dense network in its first steps: means over seeds at the steps that telemetry has written down.

Source: paper A, section 4 and figure 3; which gradient and which weights are ambiguities A-X15 and A-X16.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace

from pipeline_lib.claims import estimates, evidence
from pipeline_lib.claims.estimates import means_of, minus
from pipeline_lib.claims.evidence import Curve, Evidence, Missing
from pipeline_lib.claims.rules import Measured

_NEAR = 10  # steps by which a wanted one may be missed
_PERCENT = ("accuracy", "signs_changed")


def _followed(ev: Evidence, quantity: str) -> Curve:
    """Find a quantity at each step at which it was looked at, by seed."""
    rows, column = ev.rows("telemetry"), "test_error" if quantity == "accuracy" else quantity
    seen = rows[rows.groupby("step")[column].transform("count") > 0]
    found = evidence.by(seen, "step", column, 100 if quantity in _PERCENT else 1)
    parts = ev.complete(found.values()) if found else []
    if not parts:
        raise Missing(f"telemetry of {quantity}")
    if quantity == "accuracy":
        parts = [{seed: 100 - error for seed, error in part.items()} for part in parts]
    return dict(zip(found, parts, strict=True))


def _nearest(points: Curve, step: int) -> int:
    """Find the step next to the wanted one; the later of two."""
    near = min(points, key=lambda each: (abs(each - step), -each))
    if abs(near - step) > _NEAR:
        raise Missing(f"telemetry at step {step}")
    return near


def _rates(points: Curve, borders: Sequence[int]) -> list[dict[int, float]]:
    """Give the change a step between successive steps, by seed."""
    steps = [_nearest(points, border) for border in borders]
    if len(set(steps)) < len(borders):
        raise Missing(f"telemetry at steps {', '.join(map(str, borders))}")
    pairs = itertools.pairwise(steps)
    return [{s: change / (b - a) for s, change in minus(points[b], points[a]).items()} for a, b in pairs]


def _level(points: Curve, from_step: int, to_step: int) -> dict[int, float]:
    """Average over steps, by the trapezoidal rule, since steps are written down ever more rarely; by seed."""
    first, last = _nearest(points, from_step), _nearest(points, to_step)
    if first == last:
        raise Missing(f"telemetry from step {from_step} to {to_step}")
    inside = list(itertools.pairwise(sorted(step for step in points if first <= step <= last)))
    return {s: sum((b - a) * (points[a][s] + points[b][s]) / 2 for a, b in inside) / (last - first) for s in points[first]}


def _smoothed(points: Curve, from_step: int, to_step: int, window: int) -> Curve:
    """Average each step's neighbours within a window of so many steps."""
    _nearest(points, from_step), _nearest(points, to_step)
    inside = {step: row for step, row in points.items() if from_step <= step <= to_step}
    if len(inside) < 3:
        raise Missing(f"telemetry from step {from_step} to {to_step}")
    return {s: means_of(row for o, row in points.items() if abs(o - s) <= window // 2) for s in inside}


def telemetry_at(ev: Evidence, quantity: str, step: int) -> Measured:
    """Give the mean over seeds at the step next to this one."""
    points = _followed(ev, quantity)
    return ev.mean(points[_nearest(points, step)])


def telemetry_share(ev: Evidence, step: int) -> Measured:
    """Divide the test accuracy at a step by that of the dense network after training."""
    points = _followed(ev, "accuracy")
    return ev.ratio(points[_nearest(points, step)], ev.dense)


def telemetry_change(ev: Evidence, quantity: str, from_step: int, to_step: int) -> Measured:
    """Subtract the value at one step from that at a later one, in percent of the size at the first."""
    points = _followed(ev, quantity)
    early, late = (points[_nearest(points, step)] for step in (from_step, to_step))
    size = statistics.fmean(map(abs, early.values())) or 1.0
    return ev.mean({seed: 100 * change / size for seed, change in minus(late, early).items()})


def telemetry_rate_ratio(ev: Evidence, quantity: str, from_step: int, border: int, to_step: int) -> Measured:
    """Divide the change a step before a border by that after it; negative where the quantity turns."""
    before, after = _rates(_followed(ev, quantity), [from_step, border, to_step])
    return ev.ratio(before, after, either_sign=True)


def telemetry_rate_rise(ev: Evidence, quantity: str, borders: Sequence[int] = (10, 100, 500, 1000, 2000, 4000)) -> Measured:
    """Divide the change a step within a window by that within the one before, at the border where it is highest."""
    rates = _rates(_followed(ev, quantity), borders)
    falls = [estimates.ratio(after, before, either_sign=True) for before, after in itertools.pairwise(rates)]
    return ev.of(estimates.highest(falls), rates)


def telemetry_level_ratio(
    ev: Evidence, quantity: str, from_step: int, to_step: int, over_from: int, over_to: int
) -> Measured:  # fmt: skip
    """Divide the mean over some steps by that over others."""
    points = _followed(ev, quantity)
    return ev.ratio(_level(points, from_step, to_step), _level(points, over_from, over_to))


def _lowest_step(smooth: Mapping[int, Mapping[int, float]], seed: int) -> int:
    return min(smooth, key=lambda step: smooth[step][seed])


def gradient_minimum(ev: Evidence, from_step: int, to_step: int, window: int = 25) -> Measured:
    """Average the step at which the smoothed norm of the gradient is lowest, seed by seed.

    The ends do not count: there it was lower outside, or falls on.
    """
    smooth = _smoothed(_followed(ev, "gradient_norm"), from_step, to_step, window)
    first, last = min(smooth), max(smooth)
    found = {seed: float(_lowest_step(smooth, seed)) for seed in smooth[first]}
    inside = {seed: step for seed, step in found.items() if first < step < last}
    if len(inside) < len(found):
        ends = estimates.Interval(evidence.NOWHERE, evidence.NOWHERE, evidence.NOWHERE)
        return ev.having(ends, [found]) if not inside else ev.having(replace(ends, low=0.0), [found])
    return ev.mean(found)


def gradient_rebound(
    ev: Evidence, from_step: int, to_step: int, over_from: int, over_to: int, window: int = 25
) -> Measured:  # fmt: skip
    """Divide the norm of the gradient by its smoothed minimum: the mean over later steps, or that at first if this is less.

    Where the minimum is, is read off the other seeds, so that it is no seed's own noise.
    """
    points = _followed(ev, "gradient_norm")
    smooth = _smoothed(points, over_from, min(over_to, from_step), window)
    lowest = {seed: smooth[step][seed] for seed, step in evidence.best_of_others(smooth, min).items()}
    parts = ev.complete([_level(points, from_step, to_step), smooth[min(smooth)], lowest])
    return ev.of(estimates.lowest([estimates.ratio(parts[0], parts[2]), estimates.ratio(parts[1], parts[2])]), parts)


def event_step(ev: Evidence, event: str) -> Measured:
    """Give the step of an event of the timeline, from the earliest seed to the latest.

    It is infinite where it did not happen while it was watched for.
    """
    rows = ev.rows("timeline", event=event)
    num = int(rows["num_seeds"].iloc[0])
    if len(rows) != 1 or num < max(ev.least, evidence.COMPLETE * len(ev.seeds)):
        raise Missing(f"{num} of {len(ev.seeds)} seeds of the event")
    value, low, high = (float(rows[name].fillna(evidence.NOWHERE).iloc[0]) for name in ("step", "low", "high"))
    return Measured(value, low, high, num, max(num, len(ev.seeds)))
