"""The earliest steps of dense training: telemetry, a timeline, signs and curvature."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pipeline_lib.figures.support import layout, marks, samples, scales, selection, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from pipeline_lib.figures.support.panel import Panel

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
            "Share of weights (%) whose sign differs between two steps of dense training: of all prunable weights, "
            "and of those that survive at the sparse level in the ladder rewound to k. A line for each earlier step, "
            "against the later one. Means and standard deviations over seeds (paper A, section 5.1)."
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
_INITIAL, _FINAL = style.Look(style.PALETTE[0], "", style.SOLID), style.Look(style.PALETTE[1], "", style.DASHED)
_SMOOTHED = 5  # rows of telemetry whose mean the gradient's line is
# Column, label and look of each line of telemetry, by panel (paper A, figure 3); ten weights come fifth.
_ABOVE = {
    "test accuracy (%)": [("accuracy", "", style.SPLITS["test"].without_markers())],
    "test loss (nats)": [("test_loss", "", style.SPLITS["test"].without_markers())],
    "mean |weight|": [("mean_magnitude", "", style.Look(style.COLOURS["imp"], ""))],
    "signs that differ from step 0 (%)": [("signs", "", style.Look(style.COLOURS["imp"], ""))],
}
_TO = ("to or with weights at step 0", "to or with weights at the end")
_WEIGHTS, _GRADIENT = "ten weights of one seed", "gradient norm"
_BELOW = {
    _WEIGHTS: [],
    _GRADIENT: [("smooth", f"gradient norm, mean of {_SMOOTHED} points", style.Look(style.COLOURS["dense"], ""))],
    "L2 distance to weights": [("l2_initial", _TO[0], _INITIAL), ("l2_final", _TO[1], _FINAL)],
    "cosine with weights": [("cosine_initial", _TO[0], _INITIAL), ("cosine_final", _TO[1], _FINAL)],
}


_WITHIN = {
    **dict.fromkeys(("accuracy", "signs"), marks.PERCENT),
    **dict.fromkeys(("test_loss", "mean_magnitude", "smooth", "l2_initial", "l2_final"), marks.POSITIVE),
    **dict.fromkeys(("cosine_initial", "cosine_final"), (-1.0, 1.0)),
}


def _with_percents(frame: pd.DataFrame) -> pd.DataFrame:
    """Add accuracy and changed signs in percent, and each seed's gradient norm as a running mean."""
    frame = frame.sort_values(["task", "seed", "step"])
    smooth = frame.groupby(["task", "seed"])["gradient_norm"].transform(
        lambda norms: norms.rolling(_SMOOTHED, center=True, min_periods=1).mean()
    )
    return frame.assign(accuracy=100 * (1 - frame["test_error"]), signs=100 * frame["signs_changed"], smooth=smooth)


def _weights(axes: Panel, own: pd.DataFrame) -> None:
    """Draw the weights that are followed one by one, of the smallest seed."""
    import seaborn as sns

    first = own[own["seed"] == own["seed"].min()]
    followed = [name for name in first if name.startswith("weight_")]
    for name, colour in zip(followed, sns.color_palette("colorblind", len(followed)), strict=True):
        axes.plot(first["step"], first[name], color=colour, linewidth=1)


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
                raw = own.groupby("step")["gradient_norm"].mean().dropna()
                axis.plot(raw.index, raw, color="0.6", linewidth=0.6, label="gradient norm, as measured")
            for column, name, look in lines:
                marks.line(axis, own[own[column].notna()], "step", column, look, name, _WITHIN.get(column, marks.ANY))
            if label == _WEIGHTS:
                _weights(axis, own)
            scales.step_axis(axis, float(own["step"].max()))
            axis.set_ylabel(label)
            axis.set_title(task)
    return figure


def _events(axes: Panel, events: pd.DataFrame) -> None:
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
    figure.set_size_inches(7.5, max(1.5, sum(0.9 + 0.26 * (frame["task"] == task).sum() for task in tasks)))
    last = max(10.0, float(frame[["step", "low", "high"]].max().max())) if tasks else 10.0
    for (axis,), task in zip(axes, tasks, strict=False):
        scales.step_axis(axis, last)
        _events(axis, frame[frame["task"] == task])
        num = frame[frame["task"] == task]["num_seeds"]
        samples.say(axis, f"bars: earliest to latest seed or 95 % interval, n = {num.max()} seed{'s' if num.max() > 1 else ''}")
        axis.grid(axis="y", color="0.92")
        axis.set_axisbelow(True)
        axis.set_title(task)
    return figure


def sign_changes(frames: Frames, sparse_levels: Levels) -> Figure:
    """Share of weights whose sign differs between two steps: of all of them, and of the survivors at the sparse level."""
    frame = frames["signs"].assign(percent=100 * frames["signs"]["changed"])
    survivors = selection.at_sparse_level(frame[frame["scope"] != "all"], sparse_levels)
    shown = {"all weights": frame[frame["scope"] == "all"]}
    scopes = sorted(survivors["scope"].unique(), key=lambda scope: int(scope[1:]))
    shown |= {f"survivors, k = {int(scope[1:]):,}": survivors[survivors["scope"] == scope] for scope in scopes}
    tasks, looks = list(frame["task"].unique()), style.steps(frame["step_1"].unique().tolist())
    rows = [[(name, task) for name, own in shown.items() if (own["task"] == task).any()] for task in tasks]
    figure, panels = layout.placed(rows)
    for axis, (name, task) in panels:
        own = selection.where(shown[name], task=task)
        for step, look in looks.items():
            if (own["step_1"] == step).any():
                chosen = selection.where(own, step_1=step)
                marks.line(axis, chosen, "step_2", "percent", look, f"since step {step:,}", marks.PERCENT)
        scales.rewind_axis(axis, own["step_2"].unique().tolist())
        axis.set_xlabel("later step")
        axis.set_ylabel("signs that differ (%)")
        axis.set_title(f"{task}, {name}")
        scales.from_zero(axis)
    return figure


def curvature(frames: Frames, sparse_levels: Levels) -> Figure:
    """Extreme eigenvalues of the Hessian, its negative mass, and the gradient's share in its top subspace, in training."""
    frame = frames["curvature"]
    tasks = list(frame["task"].unique())
    figure, axes = layout.panels(len(tasks), 3)
    values = {"top": "eigenvalue", "negative_mass": "negative mass", "overlap": "gradient in top subspace"}
    settings = frame[["level", "kind", "k"]].drop_duplicates().sort_values(["level", "kind", "k"])
    looks = dict(zip(settings.itertuples(index=False, name=None), style.others(len(settings), _SETTINGS, 0), strict=True))
    for i, task in enumerate(tasks):
        own = frame[frame["task"] == task]
        for (level, kind, k), look in looks.items():
            rows = selection.where(own, level=level, kind=kind, k=k)
            name = f"{style.NAMES[kind]}, k = {k:,}" + (f", level {level}" if level else "")
            for at, value in enumerate(values if len(rows) else ()):
                within = marks.ANY if value == "top" else marks.SHARE
                marks.line(axes[i][at], rows[rows[value].notna()], "step", value, look, name, within)
            low, smallest = rows[rows["bottom"].notna()], replace(look, marker="v", dash=style.DOTTED)
            if len(low):
                marks.line(axes[i][0], low, "step", "bottom", smallest, f"{name}, smallest eigenvalue")
        for at, label in enumerate(values.values()):
            scales.step_axis(axes[i][at], float(own["step"].max()))
            axes[i][at].set_title(task)
            axes[i][at].set_ylabel(label)
            scales.from_zero(axes[i][at])
    return figure
