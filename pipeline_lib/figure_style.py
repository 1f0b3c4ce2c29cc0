"""One style for all figures, and byte-stable files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colour-blind-safe palette; each kind of network keeps its colour in every figure.
COLOURS = {"imp": "#0072B2", "random_prune": "#E69F00", "reinit": "#009E73", "dense": "#D55E00", "best": "#CC79A7"}
NAMES = {"imp": "IMP", "random_prune": "random pruning", "reinit": "random reinit", "dense": "dense", "best": "IMP, best k"}
SPLITS = {"train": "#CC79A7", "test": "#D55E00", "batch": "#56B4E9"}
BAND = 0.2


@contextmanager
def applied() -> Iterator[None]:
    """Draw without a display, in this project's style; settings are put back afterwards."""
    import matplotlib as mpl
    import seaborn as sns

    mpl.use("Agg")
    style: dict[str, object] = {
        "svg.hashsalt": "rewind", "svg.fonttype": "path", "font.family": "DejaVu Sans", "font.size": 9, "axes.titlesize": 10,
        "axes.spines.top": False, "axes.spines.right": False, "lines.linewidth": 1.6, "savefig.dpi": 150,
        "legend.frameon": True, "legend.framealpha": 0.7, "legend.edgecolor": "none",
    }  # fmt: skip
    with mpl.rc_context(), sns.axes_style("ticks"):
        mpl.rcParams.update(style)  # type: ignore[arg-type]
        yield


def save(figure: Figure, path: Path, suffix: str) -> None:
    """Save without dates and versions, so that the same figure has the same bytes."""
    metadata: dict[str, None] = {"Date": None, "Creator": None} if suffix == "svg" else {"Software": None}
    figure.savefig(path, format=suffix, metadata=metadata, bbox_inches="tight")


def averaged(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep the rows whose BatchNorm statistics are averaged like weights; the other variant is a row of its own in the tables."""
    return frame[frame["batchnorm"] == "averaged"]


def at_first_k(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep each task's rows at its first rewind step."""
    return frame[frame["k"] == frame.groupby("task")["k"].transform("min")]


def at_sparse_level(frame: pd.DataFrame, sparse_levels: Mapping[str, int]) -> pd.DataFrame:
    """Keep each task's rows at its sparse level."""
    return frame[frame["level"] == frame["task"].map(dict(sparse_levels))]


def panels(num_rows: int, num_columns: int) -> tuple[Figure, list[list[Axes]]]:
    """Make a grid of panels of one size."""
    import matplotlib.pyplot as plt

    size = (3.6 * num_columns + 0.6, 2.7 * num_rows + 0.4)
    figure, axes = plt.subplots(num_rows, num_columns, figsize=size, squeeze=False, layout="constrained")
    return figure, [list(row) for row in axes]


def line(axes: Axes, frame: pd.DataFrame, x: str, y: str, colour: str | tuple[float, ...], label: str, marker: str = "") -> None:
    """Draw the mean of `y` at each `x` with a band of one standard deviation over the rows."""
    group = frame.groupby(x)[y]
    mean, deviation = group.mean(), group.std().fillna(0)
    axes.plot(mean.index, mean, color=colour, label=label, marker=marker or None, markersize=4)
    axes.fill_between(mean.index, mean - deviation, mean + deviation, color=colour, alpha=BAND, linewidth=0)


def dense_band(axes: Axes, values: pd.Series, label: str = "dense, ± 1 sd") -> None:
    """Draw the dense network's mean and standard deviation across the panel."""
    mean, deviation = values.mean(), values.std() if len(values) > 1 else 0.0
    axes.axhline(mean, color="0.25", linewidth=1, linestyle="--", label=label)
    axes.axhspan(mean - deviation, mean + deviation, color="0.5", alpha=BAND, linewidth=0)


def density_axis(axes: Axes, densities: pd.Series) -> None:
    """Put the densities in percent on a falling log axis, with ticks at the measured ones."""
    percents = sorted((100 * densities).round(6).unique(), reverse=True)
    step = -(-len(percents) // 9)
    shown = percents[::step]
    axes.set_xscale("log")
    axes.set_xticks(shown, [f"{value:.3g}" for value in shown], rotation=45)
    axes.set_xticks([], minor=True)
    axes.set_xlim(max(percents) * 1.08, min(percents) / 1.08)
    axes.set_xlabel("weights remaining (%)")


def rewind_axis(axes: Axes, steps: list[int]) -> None:
    """Space the rewind steps evenly, as the papers do; plot positions are indices into `steps`."""
    axes.set_xticks(range(len(steps)), [str(step) for step in steps])
    axes.set_xlabel("rewind step k")


def shades(num: int, colour: str) -> list[tuple[float, ...]]:
    """Make shades of a colour from light to dark, one a rewind step."""
    import seaborn as sns

    return list(sns.light_palette(colour, n_colors=num + 2)[2:])
