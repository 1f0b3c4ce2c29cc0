"""Values with the intervals that claims are judged by.

A replicate is a seed: whatever is compared is compared seed by seed, and averaged over them. Several values that must all obey a
rule are an extreme: its one end is that of the single intervals (all of which must lie beyond a limit), its other one allows for
their number (Bonferroni), as one of many lies somewhere by chance. Rank trends have a null probability (Page's test) beside the
change from the first place to the last.

Source: Student's t; Fieller 1954 for ratios; Page 1963; Fisher's transformation for correlations.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from scipy import special, stats

NOWHERE = math.inf

Number = int | float
BySeed = Mapping[int, Number]


@dataclass(frozen=True)
class Interval:
    """A value, the ends of its interval, and the null probability of a rank trend or correlation."""

    value: float
    low: float
    high: float
    p: float | None = None


# What gives an interval at any level of confidence.
Sample = Callable[[float], Interval]


def exact(value: float) -> Interval:
    """What is counted, not estimated."""
    return Interval(value, value, value)


@cache
def _quantile(level: float, freedom: int) -> float:
    return float(stats.t.ppf((1 + level) / 2, freedom))


def _t(level: float, values: Sequence[Number]) -> Interval:
    num = len(values)
    mean = math.fsum(values) / num
    if num < 2:
        return Interval(mean, -NOWHERE, NOWHERE)
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (num - 1))
    half = _quantile(level, num - 1) * spread / num**0.5
    return Interval(mean, mean - half, mean + half)


def mean(values: BySeed) -> Sample:
    """Average over seeds, with Student's interval; unbounded for one seed."""
    found = list(values.values())
    return lambda level: _t(level, found)


def ratio(first: BySeed, second: BySeed, either_sign: bool = False) -> Sample:
    """Divide two means over the same seeds, with Fieller's interval.

    It is unbounded where the second may be 0, or is negative; with `either_sign`, it may be that.
    """
    sign = -1 if either_sign and statistics.fmean(second.values()) < 0 else 1
    a, b = ([sign * part[seed] for seed in sorted(first)] for part in (first, second))
    return lambda level: _fieller(level, a, b)


def _fieller(level: float, a: Sequence[Number], b: Sequence[Number]) -> Interval:
    num, above, below = len(a), statistics.fmean(a), statistics.fmean(b)
    value = above / below if below else math.copysign(NOWHERE, above) if above else math.nan
    if num < 2:
        return Interval(value, -NOWHERE, NOWHERE)
    factor = _quantile(level, num - 1) ** 2 / num
    (aa, ab), (_, bb) = (np.cov(a, b) * factor).tolist()
    square = below**2 - bb
    if below <= 0 or square <= 1e-12 * below**2:
        return Interval(value, -NOWHERE, NOWHERE)
    middle, root = (above * below - ab) / square, math.sqrt(max((above * below - ab) ** 2 - square * (above**2 - aa), 0)) / square
    return Interval(value, min(middle - root, value), max(middle + root, value))


def trend(series: Mapping[Any, BySeed]) -> Sample:
    """Give the change of a series from its first place to its last, by the straight line through the places, seed by seed.

    Args:
        series: values by seed at each place; the same seeds everywhere. Places count by their order alone.
    """
    places = sorted(series)
    seeds = sorted(series[places[0]])
    data = np.array([[series[place][seed] for place in places] for seed in seeds])
    ranks = np.arange(len(places)) - (len(places) - 1) / 2
    changes = data @ ranks / max((ranks**2).sum(), 1) * (len(places) - 1)
    p = _page(data if changes.mean() > 0 else data[:, ::-1])
    return lambda level: replace(_t(level, changes.tolist()), p=p)


def _page(data: np.ndarray) -> float | None:
    """Give the probability of ranks that rise as clearly as these, if every order were as likely; (seeds, places).

    Two places have none: their difference has its interval.
    """
    if data.shape[1] < 3:
        return None
    return float(stats.page_trend_test(data, method="asymptotic").pvalue) if len(data) > 1 else 1.0


def _reliability(parts: Sequence[BySeed]) -> float:
    """Give the share of the variance between means that is not the noise of the means; 0 if it may all be."""
    means = [statistics.fmean(part.values()) for part in parts]
    between, num = statistics.variance(means), len(parts[0])
    noise = statistics.fmean(statistics.variance(part.values()) for part in parts) / num if num > 1 else 0.0
    return max(1 - noise / between, 0.0) if between else 0.0


def _fisher(r: float, num: int, level: float) -> tuple[float, float]:
    half = float(special.ndtri((1 + level) / 2)) / math.sqrt(num - 3)
    place = math.atanh(min(max(r, -1 + 1e-15), 1 - 1e-15))
    return math.tanh(place - half), math.tanh(place + half)


def correlation(x: Sequence[BySeed], y: Sequence[BySeed], ranks: bool = False) -> Sample:
    """Correlate the means of points, with Fisher's interval over them; nothing is known of three points, or a constant side.

    Noise makes correlations small, so the interval reaches to what the means without it would have (Spearman 1904).
    """
    columns = [[statistics.fmean(part.values()) for part in parts] for parts in (x, y)]
    first, second = map(stats.rankdata, columns) if ranks else map(np.array, columns)
    r = 0.0 if min(np.ptp(first), np.ptp(second)) == 0 else float(np.corrcoef(first, second)[0, 1])
    if len(x) < 4 or r == 0:
        return lambda level: Interval(r, -1.0, 1.0, 1.0)
    freedom = len(x) - 2
    p = 2 * float(special.stdtr(freedom, -abs(r) * math.sqrt(freedom / max(1 - r**2, 1e-300))))
    known = math.sqrt(_reliability(x) * _reliability(y))

    def at(level: float) -> Interval:
        ends = [*_fisher(r, len(x), level)]
        ends += _fisher(max(min(r / known, 1.0), -1.0), len(x), level) if known > 0.3 else (-1.0, 1.0)
        return Interval(r, min(ends), max(ends), p)

    return at


def share(successes: Number, trials: int) -> Sample:
    """Give a proportion of independent trials, in percent, with Clopper's and Pearson's interval."""
    found = stats.binomtest(round(successes), trials)

    def at(level: float) -> Interval:
        ends = found.proportion_ci(level)
        return Interval(100 * successes / trials, 100 * float(ends.low), 100 * float(ends.high))

    return at


def lowest(samples: Sequence[Sample]) -> Sample:
    """Take the lowest of several; see the module for its interval."""

    def at(level: float) -> Interval:
        single, wide = ([sample(each) for sample in samples] for each in (level, _shared(level, len(samples))))
        ps = [each.p for each in single if each.p is not None]
        low, high = min(each.low for each in single), min(each.high for each in wide)
        return Interval(min(each.value for each in single), low, high, max(ps, default=None))

    return at


def _mirrored(sample: Sample) -> Sample:
    def at(level: float) -> Interval:
        found = sample(level)
        return Interval(-found.value, -found.high, -found.low, found.p)

    return at


def highest(samples: Sequence[Sample]) -> Sample:
    """Take the highest of several; see the module for its interval."""
    return _mirrored(lowest([_mirrored(sample) for sample in samples]))


def extreme(samples: Sequence[Sample], take: str) -> Sample:
    """Take the lowest or highest."""
    return (highest if take == "highest" else lowest)(samples)


def farthest(samples: Sequence[Sample]) -> Sample:
    """Take the largest size of several that may have either sign; at least 0."""
    return highest([*samples, *map(_mirrored, samples)])


def _shared(level: float, number: int) -> float:
    return 1 - (1 - level) / max(number, 1)


def decide(sample: Sample, limit: Number, level: float, of: int = 1) -> bool | None:
    """Tell whether a value is at least a limit: None where its interval holds the limit.

    Args:
        sample: the value.
        limit: what it may be at least.
        level: confidence of all decisions together.
        of: how many of them are made, of which one by chance would mislead.
    """
    found = sample(_shared(level, of))
    return True if found.low >= limit else False if found.high < limit else None


def possible(found: Callable[[list[bool]], float], decisions: Sequence[bool | None], guess: Sequence[bool]) -> Interval:
    """Give what follows from decisions by a rule that rises, or falls, with each of them: best guess, and both ends.

    Args:
        found: the rule.
        decisions: some of them open.
        guess: what each is by its mean alone.
    """
    ends = [found([each if each is not None else open_one for each in decisions]) for open_one in (False, True)]
    value = found(list(guess))
    return Interval(value, min(*ends, value), max(*ends, value))


def difference(first: Interval, second: Interval) -> Interval:
    """Subtract two values of which only the ends are known; unbounded where both may be infinite."""

    def minus(a: float, b: float) -> float:
        return math.nan if a == b and math.isinf(a) else a - b

    value, low, high = minus(first.value, second.value), minus(first.low, second.high), minus(first.high, second.low)
    low, high = (-NOWHERE if math.isnan(low) else low), (NOWHERE if math.isnan(high) else high)
    return Interval(value, low, high)


def means_of(parts: Iterable[BySeed]) -> dict[int, float]:
    """Average parts that have the same seeds, seed by seed."""
    every = list(parts)
    return {seed: statistics.fmean(part[seed] for part in every) for seed in every[0]}


def minus(first: BySeed, second: BySeed) -> dict[int, float]:
    """Subtract, seed by seed, what has the same seeds."""
    return {seed: value - second[seed] for seed, value in first.items()}
