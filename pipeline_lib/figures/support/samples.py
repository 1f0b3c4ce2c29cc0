"""What points are means of: counted where they are drawn, said when the figure is finished."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pipeline_lib.figures.support.remembered import Sample

if TYPE_CHECKING:
    import pandas as pd

    from pipeline_lib.figures.support.panel import Panel


def _unit(frame: pd.DataFrame) -> str:
    if "order_1" in frame:
        return "pair"
    return "run" if "noise_order" in frame and frame["noise_order"].nunique() > 1 else "seed"


def _seeds(frame: pd.DataFrame, x: str, y: str) -> pd.Series[int]:
    """Count the seeds behind the values at each place that has some: of pairs across seeds, both."""
    of = [name for name in ("seed", "other_seed") if name in frame]
    return frame.loc[frame[y].notna(), [x, *of]].melt(x, value_name="behind").groupby(x)["behind"].nunique()


def summary(frame: pd.DataFrame, x: str, y: str) -> tuple[pd.DataFrame, Sample | None]:
    """Average by seed, then over seeds: pairs of one seed are not independent. Of one seed alone, over its rows.

        mean = mean over seeds of (mean over a seed's rows),  sd likewise

    Args:
        frame: one row a measurement, with `seed`.
        x: the column of places.
        y: the column of values; null where a run has none.

    Returns:
        `mean` and `sd` (NaN where there is a single value) by place, and what they are of; None where nothing has a value.
    """
    rows, of_seeds = frame.groupby(x)[y], frame.groupby([x, "seed"])[y].mean().groupby(x)
    num, seeds = rows.count(), of_seeds.count()
    found = of_seeds.mean().to_frame("mean").assign(sd=of_seeds.std().where(seeds > 1, rows.std()))
    known = num > 0
    if not known.any():
        return found, None
    in_all, by_seed = ((int(counts.min()), int(counts.max())) for counts in (num[known], _seeds(frame, x, y)))
    return found, Sample(_unit(frame), in_all, by_seed)


def remember(axes: Panel, sample: Sample | None) -> None:
    """Keep what a panel's points are of until the figure is finished."""
    if sample is not None:
        axes.samples.append(sample)


def seeds_of(axes: Panel, frame: pd.DataFrame, by: Sequence[str] = (), spread: bool = False, unit: str = "seed") -> None:
    """Count the seeds behind what is drawn without a line, at each place.

    Args:
        axes: where it is drawn.
        frame: what is drawn, with `seed`.
        by: the columns that tell its places apart.
        spread: whether a standard deviation is drawn.
        unit: what a seed counts as.
    """
    if len(frame):
        counts = frame.groupby(list(by))["seed"].nunique() if by else frame[["seed"]].nunique()
        ends = (int(counts.min()), int(counts.max()))
        remember(axes, Sample(unit, ends, ends, spread))


def count(axes: Panel, unit: str, num: int) -> None:
    """Say of how many a panel's numbers are that no seeds replicate."""
    remember(axes, Sample(unit, (num, num), (0, 0), spread=False))


def _number(ends: Iterable[tuple[int, int]], word: str) -> str:
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    return f"{low:,} {word}{'s' * (low != 1)}" if low == high else f"{low:,} to {high:,} {word}s"


def _words(unit: str, own: Sequence[Sample]) -> str:
    rows, seeds = [each.rows for each in own], [each.seeds for each in own]
    most_rows, most_seeds = max(high for _, high in rows), max(high for _, high in seeds)
    replicated = unit in ("pair", "run") and most_seeds > 0
    num = f"n = {_number(rows, unit)}" + (f" of {_number(seeds, 'seed')}" if replicated else "")
    if not any(each.spread for each in own):
        return ("mean, " if most_rows > 1 and most_seeds else "") + num
    if most_rows == 1:
        return f"{num}, no spread"
    return f"mean ± sd{' over seeds' * (replicated and most_seeds > 1)}{f' over {unit}s' * (most_seeds == 1)}, {num}"


def words(axes: Panel) -> str:
    """Say what a panel's points are means of, and what its bands are; empty where nothing was counted."""
    units = dict.fromkeys(sample.unit for sample in axes.samples)
    counted = [_words(unit, [sample for sample in axes.samples if sample.unit == unit]) for unit in units]
    return "; ".join([*counted, *axes.said])


def say(axes: Panel, text: str) -> None:
    """Say more of what a panel shows, in words."""
    axes.said.append(text)
