"""The earliest steps of dense training: telemetry, a timeline, signs and curvature."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np

from pipeline_lib.figures.support import layout, marks, scales, selection, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# What each figure needs (`experiments.figure_needs`), and what the report says under it.
FIGURES = {
    "telemetry": {
        "runs": "nothing", "tables": ["telemetry"], "option": "telemetry",
        "measures": ["telemetry"],
        "caption": (
            "The earliest steps of dense training: test accuracy and loss, magnitudes, signs that differ from "
            "initialisation, ten weights of one seed, the norm of the mini-batch gradient (grey: as measured, mean over "
            "seeds; coloured: running mean of five logged steps), and distance and cosine to the weights at "
            "initialisation and at the end. Means over seeds, bands of one standard deviation; the axis is linear to step "
            "10, so that the first steps show, and logarithmic after it (paper A, figures 3 and A3)."
        ),
    },
    "timeline": {
        "runs": "nothing", "tables": ["timeline"], "option": "telemetry",
        "measures": ["telemetry"],
        "caption": (
            "What happens when in early training, read off this experiment's tables. Markers are the steps named beside "
            "them, bars reach from the earliest to the latest seed or over a 95 % interval; one that runs to the right "
            "edge has no upper end within what was measured. The axis is linear to step 10 and logarithmic after it "
            "(paper A, figures 2 and A1)."
        ),
    },
    "sign_changes": {
        "runs": "masks_at_sparse_level", "tables": ["signs"], "steps": 2,
        "measures": ["signs"],
        "caption": (
            "Share of weights (%) whose sign differs between two steps of dense training: of all prunable weights above, "
            "and below of those that survive at the sparse level in the ladder rewound to k. Means over seeds (paper A, "
            "section 5.1)."
        ),
    },
    "curvature": {
        "runs": "nothing", "tables": ["curvature"], "option": "curvature",
        "measures": ["curvature"],
        "caption": (
            "Curvature during training: largest and smallest eigenvalue of the Hessian of the training loss, the share of "
            "the eigenvalues' absolute sum that is negative, and the share of the gradient's square in the top subspace, "
            "left out where that has not converged. Means over seeds, bands of one standard deviation; the axis is linear "
            "to step 10 and logarithmic after it (paper A, section 2)."
        ),
    },
}  # fmt: skip

Frames = dict[str, "pd.DataFrame"]
Levels = dict[str, int]

_SETTINGS = (style.COLOURS["dense"], style.COLOURS["imp"], *style.PALETTE[:2], *style.PALETTE[3:])  # whose curvature is drawn
_SMOOTHED = 5  # rows of telemetry whose mean the gradient's line is
# Column, label and colour of each line of telemetry, by panel (paper A, figure 3); ten weights come fifth.
_ABOVE = {
    "test accuracy (%)": [("accuracy", "", style.SPLITS["test"])],
    "test loss (nats)": [("test_loss", "", style.SPLITS["test"])],
    "mean |weight|": [("mean_magnitude", "", style.COLOURS["imp"])],
    "signs that differ from step 0 (%)": [("signs", "", style.COLOURS["imp"])],
}
_WEIGHTS, _GRADIENT = "ten weights of one seed", "gradient norm"
_BELOW = {
    _WEIGHTS: [],
    _GRADIENT: [("smooth", f"mean of {_SMOOTHED} points", style.COLOURS["dense"])],
    "L2 distance to weights": [("l2_initial", "at step 0", style.PALETTE[0]), ("l2_final", "at the end", style.PALETTE[1])],
    "cosine with weights": [("cosine_initial", "at step 0", style.PALETTE[0]), ("cosine_final", "at the end", style.PALETTE[1])],
}


def _with_percents(frame: pd.DataFrame) -> pd.DataFrame:
    """Add accuracy and changed signs in percent, and each seed's gradient norm as a running mean."""
    frame = frame.sort_values(["task", "seed", "step"])
    smooth = frame.groupby(["task", "seed"])["gradient_norm"].transform(
        lambda norms: norms.rolling(_SMOOTHED, center=True, min_periods=1).mean()
    )
    return frame.assign(accuracy=100 * (1 - frame["test_error"]), signs=100 * frame["signs_changed"], smooth=smooth)


def _weights(axes: Axes, own: pd.DataFrame) -> None:
    """Draw the weights that are followed one by one, of the smallest seed."""
    import seaborn as sns

    first = own[own["seed"] == own["seed"].min()]
    followed = [name for name in first if name.startswith("weight_")]
    for name, colour in zip(followed, sns.color_palette("colorblind", len(followed)), strict=True):
        axes.plot(first["step"], first[name], color=colour, linewidth=1, label=name.replace("_", " "))


def telemetry(frames: Frames, sparse_levels: Levels) -> Figure:
    """State of dense networks in the earliest steps: eight panels a task."""
    frame = _with_percents(frames["telemetry"])
    tasks = list(frame["task"].unique())
    figure, axes = layout.panels(2 * len(tasks), len(_ABOVE))
    figure.set_layout_engine("constrained", w_pad=0.1)
    for i, task in enumerate(tasks):
        own = frame[frame["task"] == task]
        for axis, (label, lines) in zip(axes[2 * i] + axes[2 * i + 1], [*_ABOVE.items(), *_BELOW.items()], strict=True):
            if label == _GRADIENT:
                raw = own.groupby("step")["gradient_norm"].mean()
                axis.plot(raw.index, raw, color="0.6", linewidth=0.6, label="raw")
            for column, name, colour in lines:
                marks.line(axis, own[own[column].notna()], "step", column, colour, name)
            if label == _WEIGHTS:
                _weights(axis, own)
            elif any(name for _, name, _ in lines):
                axis.legend(fontsize=style.SMALL)
            scales.step_axis(axis, float(own["step"].max()))
            axis.set_ylabel(label)
            axis.set_title(task)
    return figure


def _events(axes: Axes, events: pd.DataFrame) -> None:
    """Draw a marker an event, and a bar over its interval, open to the right where it has no upper end."""
    events = events.sort_values("step", kind="stable")
    seen, right = events[events["step"].notna()], axes.get_xlim()[1]
    low, high = seen["low"].fillna(seen["step"]), seen["high"].fillna(right)
    axes.hlines(range(len(seen)), low, high, color=style.COLOURS["imp"], linewidth=5, alpha=0.3)
    axes.plot(seen["step"], range(len(seen)), color=style.COLOURS["imp"], marker="o", linestyle="")
    for place, (step, end) in enumerate(zip(seen["step"], high, strict=True)):
        axes.annotate(
            f"{step:,.0f}", (min(end, right), place), (6, 0), textcoords="offset points", va="center", fontsize=style.SMALL
        )
    for place in range(len(seen), len(events)):
        axes.annotate("not seen", (0, place), (6, 0), textcoords="offset points", va="center", fontsize=style.SMALL, color="0.4")
    axes.set_yticks(range(len(events)), events["event"])
    axes.set_ylim(len(events) - 0.5, -0.5)


def timeline(frames: Frames, sparse_levels: Levels) -> Figure:
    """What happens when in early training, a panel a task."""
    frame = frames["timeline"]
    tasks = list(frame["task"].unique())
    figure, axes = layout.panels(len(tasks), 1)
    figure.set_size_inches(7.5, max(1.5, sum(0.8 + 0.26 * (frame["task"] == task).sum() for task in tasks)))
    last = max(10.0, float(frame[["step", "low", "high"]].max().max())) if tasks else 10.0
    for (axis,), task in zip(axes, tasks, strict=False):
        scales.step_axis(axis, last)
        _events(axis, frame[frame["task"] == task])
        axis.grid(axis="y", color="0.92")
        axis.set_axisbelow(True)
        axis.set_title(task)
    return figure


def _heat_map(axes: Axes, table: pd.DataFrame, most: float) -> None:
    """Colour and write the percentages of a table of earlier by later steps."""
    values = table.to_numpy()
    axes.pcolormesh(values, cmap="Blues", vmin=0, vmax=most, edgecolors="white")
    for row, column in np.argwhere(np.isfinite(values)):
        colour = "white" if values[row, column] > 0.6 * most else "black"
        text = f"{values[row, column]:.1f}"
        axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=style.SMALL, color=colour)
    axes.set_xticks([i + 0.5 for i in range(table.shape[1])], [f"{step}" for step in table.columns], rotation=45)
    axes.set_yticks([i + 0.5 for i in range(table.shape[0])], [f"{step}" for step in table.index])
    axes.set_ylim(table.shape[0], 0)
    axes.set_xlabel("later step")
    axes.set_ylabel("earlier step")


def sign_changes(frames: Frames, sparse_levels: Levels) -> Figure:
    """Share of weights whose sign differs between two steps: of all of them, and below of the survivors at the sparse level."""
    frame = frames["signs"].assign(percent=100 * frames["signs"]["changed"])
    survivors = selection.at_sparse_level(frame[frame["scope"] != "all"], sparse_levels)
    shown = {"all": frame[frame["scope"] == "all"]}
    shown |= {s: survivors[survivors["scope"] == s] for s in sorted(survivors["scope"].unique(), key=lambda s: int(s[1:]))}
    tables = {
        (row, task): own.pivot_table(index="step_1", columns="step_2", values="percent")
        for row, rows in enumerate(shown.values())
        for task, own in rows.groupby("task", sort=False)
    }
    most = max((table.max().max() for table in tables.values()), default=0.0)
    tasks = list(frame["task"].unique())
    figure, axes = layout.panels(len(shown), len(tasks))
    for row, scope in enumerate(shown):
        for axis, task in zip(axes[row], tasks, strict=False):
            axis.set_visible((row, task) in tables)
            if axis.get_visible():
                _heat_map(axis, tables[row, task], most)
            axis.set_title(f"{task}, all weights" if scope == "all" else f"{task}, survivors, k = {scope[1:]}")
    return figure


def curvature(frames: Frames, sparse_levels: Levels) -> Figure:
    """Extreme eigenvalues of the Hessian, its negative mass, and the gradient's share in its top subspace, in training."""
    frame = frames["curvature"]
    tasks = list(frame["task"].unique())
    figure, axes = layout.panels(3, len(tasks))
    values = {"top": "eigenvalue", "negative_mass": "negative mass", "overlap": "gradient in top subspace"}
    for column, task in enumerate(tasks):
        own = frame[frame["task"] == task]
        settings = own[["level", "kind", "k"]].drop_duplicates().sort_values(["level", "kind", "k"])
        for colour, (level, kind, k) in zip(cycle(_SETTINGS), settings.itertuples(index=False), strict=False):
            rows = selection.where(own, level=level, kind=kind, k=k)
            name = f"{style.NAMES[kind]}, k = {k}" + (f", level {level}" if level else "")
            for row, value in enumerate(values):
                label = f"{name}, largest" if value == "top" else name
                marks.line(axes[row][column], rows[rows[value].notna()], "step", value, colour, label, ".")
            marks.line(axes[0][column], rows[rows["bottom"].notna()], "step", "bottom", colour, f"{name}, smallest", ".", "--")
        for row, label in enumerate(values.values()):
            scales.step_axis(axes[row][column], float(own["step"].max()))
            axes[row][column].set_title(task)
            axes[row][column].set_ylabel(label)
            axes[row][column].legend(fontsize=style.SMALL)
            if row:
                axes[row][column].set_ylim(bottom=0)
        axes[0][column].axhline(0, color="0.6", linewidth=0.8)
    return figure
