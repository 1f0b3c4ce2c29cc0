"""What claims are measured from: the tables of one task, and values by seed. Errors and accuracies are in percent."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline_lib.claims import estimates
from pipeline_lib.claims.estimates import BySeed, Interval, Number, Sample
from pipeline_lib.claims.rules import Measured
from pipeline_lib.core import definitions
from pipeline_lib.tables import rules as shared
from pipeline_lib.tables import tabulation

if TYPE_CHECKING:
    import pandas as pd

Frames = dict[str, "pd.DataFrame"]
Curve = Mapping[int, BySeed]
Decisions = dict[int, bool | None]

STABLE_BELOW = 100 * definitions.STABLE_BELOW
MATCHING_WITHIN = 100 * definitions.MATCHING_WITHIN
NOWHERE = estimates.NOWHERE
LEAST_PLACES = 3  # of a trend
COMPLETE = 0.9  # share of the seeds that a value must be known of


class Missing(Exception):  # noqa: N818 - it says that something is missing, and is no fault
    """The tables lack what a measure takes; says what."""


@dataclass(frozen=True)
class Evidence:
    """The tables of a task as a claim sees them.

    Args:
        frames: its rows of all tables, runs and curves as `tables.divided` parts them.
        sparse_level: level of its sparse networks.
        level: confidence of intervals.
        least: seeds that a mean needs.
        seeds: those of the experiment.
    """

    frames: Frames
    sparse_level: int
    level: float = 0.95
    least: int = 3
    seeds: frozenset[int] = field(default=frozenset())
    _ladders: dict[str, pd.DataFrame] = field(default_factory=dict, compare=False, repr=False)

    def rows(self, table: str, **where: Any) -> pd.DataFrame:
        """Find the rows of a table with these values in its columns.

        Raises:
            Missing: there is no such table, or no such row.
        """
        if table not in self.frames:
            raise Missing(f"table {table}")
        frame = self.frames[table]
        mask = np.ones(len(frame), dtype=bool)
        for column, value in where.items():
            mask &= frame[column].to_numpy() == value
        if not mask.any():
            words = ", ".join(f"{column} {value}" for column, value in where.items())
            raise Missing(f"rows of {table} with {words}" if words else f"rows of {table}")
        return frame[mask]

    def complete(self, parts: Iterable[BySeed]) -> list[dict[int, float]]:
        """Keep the seeds that all parts have a value of.

        Raises:
            Missing: they are too few, or less than nine tenths of what was asked for.
        """
        whole = list(parts) or [{}]
        kept = [seed for seed in sorted(whole[0]) if all(not math.isnan(part.get(seed, math.nan)) for part in whole)]
        asked = len(self.seeds | {seed for part in whole for seed in part})
        if len(kept) < max(self.least, COMPLETE * asked, 1):
            raise Missing(f"{len(kept)} of {asked} seeds; needs {max(self.least, math.ceil(COMPLETE * asked))}")
        return [{seed: part[seed] for seed in kept} for part in whole]

    def of(self, sample: Sample, parts: Iterable[BySeed]) -> Measured:
        """Take a value at the claim's level, with the replicates of its complete parts."""
        return self.having(sample(self.level), parts)

    def having(self, found: Interval, parts: Iterable[BySeed]) -> Measured:
        """Count the replicates of a value."""
        seeds = [set(part) for part in parts]
        num = len(set.intersection(*seeds)) if seeds else 1
        return Measured(found.value, found.low, found.high, num, len(self.seeds.union(*seeds)) or num, found.p)

    def counted(self, value: float, num: int) -> Measured:
        """Give what is counted over so many rows, not estimated."""
        return Measured(value, value, value, num, num)

    def mean(self, values: BySeed) -> Measured:
        """Average one value over seeds."""
        parts = self.complete([values])
        return self.of(estimates.mean(parts[0]), parts)

    def ratio(self, first: BySeed, second: BySeed, either_sign: bool = False) -> Measured:
        """Divide two means over seeds."""
        above, below = self.complete([first, second])
        return self.of(estimates.ratio(above, below, either_sign), [above, below])

    def trend(self, series: Mapping[Any, BySeed]) -> Measured:
        """Give the change along a series."""
        parts = self.complete(series.values())
        if len(parts) < LEAST_PLACES:
            raise Missing(f"{LEAST_PLACES} places of a series; has {len(parts)}")
        return self.of(estimates.trend(dict(zip(series, parts, strict=True))), parts)

    def extreme(self, parts: Iterable[BySeed], take: str) -> Measured:
        """Average over seeds, and take the lowest or highest."""
        kept = self.complete(parts)
        return self.of(estimates.extreme([estimates.mean(part) for part in kept], take), kept)

    @cached_property
    def dense(self) -> dict[int, float]:
        """The test accuracy of the dense networks by seed, from the first rewind step under the first order.

        Raises:
            Missing: there are none.
        """
        errors = by_seed(shared.dense(self.rows("runs")), "test_error", 100)
        if not errors:
            raise Missing("dense runs")
        return {seed: 100 - error for seed, error in errors.items()}

    @cached_property
    def tolerance(self) -> float:
        """The points of accuracy that a matching network may lack: max(one standard deviation of dense ones, 0.2).

        Source: paper C, definition 2.2; ambiguity G-11.
        """
        (dense,) = self.complete([self.dense])
        errors = [1 - accuracy / 100 for accuracy in dense.values()]
        return 100 * (float(shared.matching_error(errors)) - statistics.fmean(errors))

    def decide(self, values: BySeed, limit: Number, of: int = 1) -> bool | None:
        """Tell whether a mean over seeds is at least a limit; None where its interval holds the limit."""
        return estimates.decide(estimates.mean(values), limit, self.level, of)


def by_seed(rows: pd.DataFrame, column: str, factor: Number = 1) -> dict[int, float]:
    """Average a column by seed, times a factor; NaN where one of a seed's rows has no value."""
    found: dict[int, list[float]] = {}
    for seed, value in zip(rows["seed"].tolist(), rows[column].tolist(), strict=True):
        found.setdefault(seed, []).append(math.nan if value is None else value)
    return {seed: factor * statistics.fmean(values) for seed, values in found.items()}


def by(rows: pd.DataFrame, key: str, column: str, factor: Number = 1) -> dict[Any, dict[int, float]]:
    """Average a column by seed, for each value of another column, ascending."""
    found: dict[Hashable, dict[int, list[float]]] = {}
    columns = (rows[name].tolist() for name in (key, "seed", column))
    for place, seed, value in zip(*columns, strict=True):
        found.setdefault(place, {}).setdefault(seed, []).append(math.nan if value is None else value)
    means = {place: {seed: factor * statistics.fmean(each) for seed, each in row.items()} for place, row in found.items()}
    return {place: means[place] for place in sorted(means)}  # type: ignore[type-var]


def of_task(frames: Frames, task: str) -> Frames:
    """Keep the rows of one task; tables that are about none stay whole."""
    return {name: frame[frame["task"].to_numpy() == task] if "task" in frame else frame for name, frame in frames.items()}


def seeds_of(frames: Frames) -> frozenset[int]:
    """List the seeds of any table."""
    return frozenset().union(*(frame["seed"].unique().tolist() for frame in frames.values() if "seed" in frame))


def select(ev: Evidence, table: str, kind: str, split: str | None = None) -> pd.DataFrame:
    """Find the rows of dense networks, or of one kind of sparse ones at the task's sparse level.

    They are those with averaged BatchNorm statistics where the table has others too.

    Raises:
        Missing: it has none.
    """
    if kind != "dense" and ev.sparse_level < 1:
        raise Missing("a sparse level")
    where: dict[str, Any] = rung(kind, ev.sparse_level)
    columns = ev.frames[table].columns if table in ev.frames else ()
    where |= {name: value for name, value in (("split", split), ("batchnorm", "averaged")) if value and name in columns}
    return ev.rows(table, **where)


def rung(kind: str, level: int) -> dict[str, Any]:
    """Name the columns of a kind's networks at a level; dense networks are level 0 of every ladder."""
    return {"kind": "dense", "level": 0} if kind == "dense" or level == 0 else {"kind": kind, "level": level}


def ladder(ev: Evidence, kind: str) -> pd.DataFrame:
    """Find all levels of a kind, the dense one for IMP too, under the ladder's own order, and their `accuracy` on the test split.

    Raises:
        Missing: there are none.
    """
    if kind not in ev._ladders:
        runs = ev.rows("runs")
        own = tabulation.of_kind(runs[runs["noise_order"] == runs["noise_order"].min()], kind)
        ev._ladders[kind] = own.assign(accuracy=100 * (1 - own["test_error"]))
    if not len(ev._ladders[kind]):
        raise Missing(f"rows of runs with kind {kind}")
    return ev._ladders[kind]


def matching_margins(ev: Evidence, accuracies: BySeed) -> dict[int, float]:
    """Subtract, seed by seed, the accuracy from which a network matches the dense one of its seed."""
    return {seed: value - ev.dense.get(seed, math.nan) + ev.tolerance for seed, value in accuracies.items()}


def at(found: Mapping[int, Any], place: int, what: str = "k") -> Any:
    """Take one place of a curve.

    Raises:
        Missing: it has none there.
    """
    if place not in found:
        raise Missing(f"{what} {place}")
    return found[place]


def relative(ev: Evidence, series: Mapping[Any, BySeed]) -> dict[float, BySeed]:
    """Divide a series by its mean over seeds and places.

    Raises:
        Missing: seeds lack values.
    """
    parts = ev.complete(series.values())
    size = abs(statistics.fmean(value for part in parts for value in part.values())) or 1.0
    return {float(x): {s: v / size for s, v in part.items()} for x, part in zip(series, parts, strict=True)}


def best_of_others(found: Mapping[int, BySeed], pick: Callable[..., int]) -> dict[int, int]:
    """Pick, for each seed, the place that is best by the mean over the other seeds; by its own value where there is none."""
    seeds = list(next(iter(found.values())))
    others = {seed: [other for other in seeds if other != seed] or [seed] for seed in seeds}
    return {seed: pick(found, key=lambda place: sum(found[place][o] for o in others[seed])) for seed in seeds}


def steady_from(good: Mapping[int, bool]) -> float:
    """Find the first rewind step from which on all are good; infinity if the last is not."""
    steps = sorted(good)
    return shared.onset(steps, [good[k] for k in steps]).k


def whole(found: Sequence[int], from_level: int, to_level: int) -> list[int]:
    """List the levels from one to another.

    Raises:
        Missing: one of them is not among those found.
    """
    asked = list(range(from_level, to_level + 1))
    lacking = [level for level in asked if level not in found]
    if lacking or not asked:
        raise Missing(f"{len(lacking)} of {len(asked)} levels, level {lacking[0]} first" if asked else "levels")
    return asked


def renamed(found: Measured, grid: Iterable[Number]) -> Measured:
    """Say on which grid an onset was looked for."""
    return replace(found, grid=tuple(float(k) for k in grid))
