"""What claims are measured from: means over replicates at each rewind step. Errors and accuracies are in percent."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline_lib.core import definitions
from pipeline_lib.tables import rules, tabulation

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Measured:
    """A measured value.

    Args:
        value: in the unit of its claim; infinity for an onset beyond the grid.
        spread: standard deviation over the replicates, None where the value is not their mean.
        num: replicates; the fewest, where several means are compared.
        grid: rewind steps that an onset was looked for at.
    """

    value: float
    spread: float | None
    num: int
    grid: tuple[float, ...] = ()


Frames = dict[str, "pd.DataFrame"]
Found = Measured | None  # None: the tables lack what it takes
Curve = dict[int, Found]
Points = dict[int, Measured]

KINDS = ("dense", "imp", "random_prune", "reinit")
SPLITS = ("train", "test")
# What telemetry follows.
QUANTITIES = ("accuracy", "mean_magnitude", "signs_changed", "gradient_norm", "l2_initial", "cosine_initial")
STABLE_BELOW = 100 * definitions.STABLE_BELOW
MATCHING_WITHIN = 100 * definitions.MATCHING_WITHIN
NOWHERE = float("inf")


def select(frames: Frames, table: str, task: str, sparse_level: int, kind: str, split: str | None = None) -> pd.DataFrame | None:
    """Find the rows of dense networks, or of one kind of sparse ones at the task's sparse level.

    Returns:
        The rows, those with averaged BatchNorm statistics where the table has others too; None where it has none.
    """
    if table not in frames or (kind != "dense" and sparse_level < 1):
        return None
    frame = frames[table]
    level = 0 if kind == "dense" else sparse_level
    chosen = (frame["task"] == task) & (frame["kind"] == kind) & (frame["level"] == level)
    for column, value in (("split", split), ("batchnorm", "averaged")):
        if value is not None and column in frame:
            chosen &= frame[column] == value
    return frame[chosen] if chosen.any() else None


def average(values: pd.Series, least: int) -> Found:
    """Average replicates; None where one of them is null, or there are fewer than `least`."""
    if len(values) < least or values.isna().any():
        return None
    return Measured(float(values.mean()), float(values.std()) if len(values) > 1 else None, len(values))


def by_step(rows: pd.DataFrame | None, column: str, least: int, step: str = "k") -> Curve:
    """Average a column at each rewind step, or other step; empty where there are no rows."""
    if rows is None:
        return {}
    return {k: average(rows[rows[step] == k][column], least) for k in sorted(rows[step].unique().tolist())}


def _in_percent(rows: pd.DataFrame | None, column: str) -> pd.DataFrame | None:
    return None if rows is None else rows.assign(**{column: 100 * rows[column]})


def ladder(frames: Frames, task: str, kind: str) -> pd.DataFrame | None:
    """Find all levels of a kind under the ladder's own order, and their `accuracy` on the test split."""
    if "runs" not in frames:
        return None
    runs = frames["runs"]
    runs = runs[runs["task"] == task]
    runs = tabulation.of_kind(runs[runs["order"] == runs["order"].min()], kind)
    return runs.assign(accuracy=100 * (1 - runs["test_error"])) if len(runs) else None


def dense_accuracy(frames: Frames, task: str, least: int) -> Found:
    """Average the test accuracy of the dense networks over seeds, from the first rewind step under the first order."""
    own = ladder(frames, task, "imp")
    return None if own is None else by_step(own[own["level"] == 0], "accuracy", least).get(int(own["k"].min()))


def matching_accuracy(frames: Frames, task: str, least: int) -> float | None:
    """Give the accuracy from which a network matches the dense one, by the rule of `tables.rules`."""
    dense = dense_accuracy(frames, task, least)
    return None if dense is None else 100 - 100 * rules.highest_matching(frames["runs"], task)


def _accuracy(frames: Frames, task: str, sparse_level: int, kind: str, split: str, least: int) -> Curve:
    rows = select(frames, "runs", task, sparse_level, kind)
    return by_step(None if rows is None else rows.assign(accuracy=100 * (1 - rows[f"{split}_error"])), "accuracy", least)


def _matching_margin(frames: Frames, task: str, sparse_level: int, kind: str, split: str, least: int) -> Curve:
    enough, own = matching_accuracy(frames, task, least), ladder(frames, task, "imp" if kind == "dense" else kind)
    if enough is None or own is None or (kind != "dense" and sparse_level < 1):
        return {}
    own = own[own["level"] == (0 if kind == "dense" else sparse_level)]
    return by_step(own.assign(accuracy=own["accuracy"] - enough), "accuracy", least)


def _instability(frames: Frames, task: str, sparse_level: int, kind: str, split: str, least: int) -> Curve:
    return by_step(
        _in_percent(select(frames, "instability", task, sparse_level, kind, split), "instability"), "instability", least
    )


def _distance(frames: Frames, task: str, sparse_level: int, kind: str, split: str, least: int) -> Curve:
    return by_step(select(frames, "distances", task, sparse_level, kind), "l2_params", least)


def path(frames: Frames, task: str, sparse_level: int, kind: str, split: str, k: int, least: int) -> dict[float, Measured] | None:
    """Average the error over pairs at each point of the line; None where a point lacks a value."""
    rows = _in_percent(select(frames, "interpolation", task, sparse_level, kind, split), "error")
    if rows is None:
        return None
    at_k = rows[rows["k"] == k]
    points = {alpha: average(at_k[at_k["alpha"] == alpha]["error"], least) for alpha in sorted(at_k["alpha"].unique().tolist())}
    known = {alpha: point for alpha, point in points.items() if point is not None}
    return known if known and len(known) == len(points) else None


def _path_peak(frames: Frames, task: str, sparse_level: int, kind: str, split: str, least: int) -> Curve:
    rows, found = select(frames, "interpolation", task, sparse_level, kind, split), Curve()
    for k in [] if rows is None else sorted(rows["k"].unique().tolist()):
        points = path(frames, task, sparse_level, kind, split, k, least)
        found[k] = max(points.values(), key=lambda point: point.value) if points else None
    return found


CURVES: dict[str, Callable[..., Curve]] = {
    "accuracy": _accuracy,
    "matching_margin": _matching_margin,
    "instability": _instability,
    "distance": _distance,
    "path_peak": _path_peak,
}


def curve(of: str, frames: Frames, task: str, sparse_level: int, kind: str, split: str, least: int) -> Curve:
    """Measure one thing at every rewind step of the tables.

    Args:
        of: "accuracy" (all orders), "matching_margin" (accuracy of the ladder's own order less the accuracy that matches),
            "instability", "distance" (L2, all parameters) or "path_peak" (maximum over the line of the mean error over pairs).
        frames: the tables.
        task: name of the task.
        sparse_level: level of its sparse networks.
        kind: "dense", "imp", "random_prune" or "reinit".
        split: "train" or "test".
        least: replicates that a mean needs.
    """
    return CURVES[of](frames, task, sparse_level, kind, split, least)


def cut(found: Curve, through: int) -> Points | None:
    """Keep a curve's rewind steps from 0 to `through`; None where it misses one of these two, or any value between."""
    points = {k: point for k, point in found.items() if k <= through and point is not None}
    whole = len(points) == sum(k <= through for k in found)
    return points if whole and {0, through} <= set(points) else None


def stability(frames: Frames, task: str, sparse_level: int, kind: str, split: str, least: int) -> Curve:
    """Average instability at each rewind step, as it counts for stability: infinite for a diverged run, or one near chance."""
    rows = select(frames, "instability", task, sparse_level, kind, split)
    if rows is None:
        return {}
    pairs = [(k, 100 * rules.counted(rows[rows["k"] == k])) for k in sorted(rows["k"].unique().tolist())]
    return {k: Measured(float(values.mean()), None, len(values)) if len(values) >= least else None for k, values in pairs}


def onset(found: Curve, is_good: Callable[[float], bool], reach: int) -> Found:
    """Find the rewind step from which all are good, on a grid that must begin with 0 and reach `reach`; infinite if none is."""
    points = {k: point for k, point in found.items() if point is not None}
    if len(points) < len(found) or 0 not in points or max(points) < reach:
        return None
    steps = sorted(points)
    first = rules.onset(steps, [is_good(points[k].value) for k in steps]).k
    return Measured(first, None, fewest(points), tuple(map(float, steps)))


def places_apart(first: Found, second: Found) -> Found:
    """Count the places of the grid between two onsets; infinite if one is beyond it, None if both are."""
    if first is None or second is None or first.grid != second.grid or first.value == second.value == NOWHERE:
        return None
    places = [each.grid.index(each.value) if each.value in each.grid else NOWHERE for each in (first, second)]
    return Measured(float(places[0] - places[1]), None, min(first.num, second.num))


def fewest(*curves: Mapping[int, Measured] | Mapping[float, Measured]) -> int:
    """Give the smallest number of replicates behind the points of some curves."""
    return min(point.num for each in curves for point in each.values())


def minus(first: Found, second: Found) -> Found:
    """Subtract two means, whose deviations add in quadrature."""
    if first is None or second is None:
        return None
    spread = ((first.spread or 0.0) ** 2 + (second.spread or 0.0) ** 2) ** 0.5
    return Measured(first.value - second.value, spread, min(first.num, second.num))


def pearson(x: Sequence[int | float], y: Sequence[int | float], num: int) -> Found:
    """Correlate at least three points; None where there are fewer, or one side is constant."""
    if len(x) < 3 or len(set(x)) == 1 or len(set(y)) == 1:
        return None
    return Measured(statistics.correlation(x, y), None, num)


def spearman(x: Sequence[int | float], y: Sequence[int | float], num: int) -> Found:
    """Correlate the ranks of at least three points; ties share their mean rank."""
    return pearson(_ranks(x), _ranks(y), num)


def _ranks(values: Sequence[int | float]) -> list[float]:
    ordered = sorted(values)
    return [ordered.index(value) + (ordered.count(value) - 1) / 2 for value in values]


def rungs(own: pd.DataFrame | None, k: int, least: int) -> Points | None:
    """Average the accuracy of each level of a ladder from step k, dense networks apart; None where a level is missing."""
    if own is None:
        return None
    levels = by_step(own[(own["k"] == k) & (own["level"] > 0)], "accuracy", least, "level")
    points = {level: point for level, point in levels.items() if point is not None}
    return points if points and list(points) == list(range(1, max(levels) + 1)) else None


def best_rungs(own: pd.DataFrame | None, through: int, least: int) -> Points | None:
    """Give each level's highest mean accuracy over the rewind steps from 0 to `through`; None unless all ladders are whole."""
    steps = [] if own is None else sorted(k for k in own["k"].unique().tolist() if k <= through)
    found = [rungs(own, k, least) for k in steps]
    ladders = [points for points in found if points is not None]
    if not {0, through} <= set(steps) or len(ladders) < len(found) or len({len(points) for points in ladders}) > 1:
        return None
    return {level: max((points[level] for points in ladders), key=lambda point: point.value) for level in ladders[0]}


def followed(frames: Frames, task: str, column: str, k: int, least: int) -> Points:
    """Average a column of the throughout table at each step of the dense networks from step k; empty where one lacks a value."""
    rows = select(frames, "throughout", task, 0, "dense", "test")
    steps = by_step(None if rows is None else _in_percent(rows[rows["k"] == k], column), column, least, "step")
    points = {step: point for step, point in steps.items() if point is not None}
    return points if len(points) == len(steps) else {}
