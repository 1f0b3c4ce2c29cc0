"""Lines and planes between checkpoints that the config brings, and their spectra."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline_lib.figures.support import layout, marks, samples, scales, selection, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

# What each figure needs (`experiments.figure_needs`), and what the report says under it.
FIGURES = {
    "checkpoint_paths": {
        "runs": "nothing", "tables": ["checkpoint_paths"], "option": "analyse", "measures": ["paths_of_checkpoints"],
        "caption": (
            "Error along the straight line between two checkpoints, a panel a pair: α = 1 is the first that is named, α = 0 the "
            "second. BatchNorm statistics are averaged like weights."
        ),
    },
    "checkpoint_planes": {
        "runs": "nothing", "tables": ["triangles", "corners"], "option": "analyse", "measures": ["planes_of_checkpoints"],
        "caption": (
            "Test error in the plane through three checkpoints, a panel a plane. Axes are distances between weights; "
            "colours are finer where the error is low."
        ),
    },
    "checkpoint_spectra": {
        "runs": "nothing", "tables": ["checkpoint_spectra"], "option": "analyse", "measures": ["spectra_of_checkpoints"],
        "caption": (
            "Share of the eigenvalues of the training loss's Hessian below each value, a line a checkpoint, by Lanczos' method "
            "from random vectors."
        ),
    },
}  # fmt: skip

Frames = dict[str, "pd.DataFrame"]
Levels = dict[str, int]

_PAIR, _THREE = ["checkpoint_1", "checkpoint_2"], ["state_1", "state_2", "state_3"]
_NUM_SHADES = 16


def _each(frame: pd.DataFrame, names: list[str]) -> list[tuple[str, ...]]:
    """List the panels: a task and the checkpoints that are named together."""
    return list(frame[["task", *names]].drop_duplicates().itertuples(index=False, name=None))


def _own(frame: pd.DataFrame, names: list[str], key: tuple[str, ...]) -> pd.DataFrame:
    return selection.where(frame, **dict(zip(["task", *names], key, strict=True)))


def checkpoint_paths(frames: Frames, sparse_levels: Levels) -> Figure:
    """Error along the lines between checkpoints: train and test, a panel a pair."""
    frame = frames["checkpoint_paths"]
    frame = frame.assign(percent=100 * frame["error"])
    figure, panels = layout.placed([_each(frame, _PAIR)])
    for axis, key in panels:
        own = _own(frame, _PAIR, key)
        for split in own["split"].unique():
            marks.line(axis, own[own["split"] == split], "alpha", "percent", style.SPLITS[split], split, marks.PERCENT)
        axis.set_title(f"{key[0]}, {key[2]} to {key[1]}")
        axis.set_xlabel(f"interpolation α: {key[2]} at 0, {key[1]} at 1")
        axis.set_ylabel("error (%)")
        scales.from_zero(axis)
    return figure


def checkpoint_planes(frames: Frames, sparse_levels: Levels) -> Figure:
    """Test error in the planes through three checkpoints, a panel a plane."""
    from matplotlib.colors import PowerNorm

    figure, panels = layout.placed([_each(frames["triangles"], _THREE)])
    for axis, key in panels:
        own, corners = (_own(frames[name], _THREE, key) for name in ("triangles", "corners"))
        grid = 100 * own.pivot_table(index="y", columns="x", values="test_error")
        if min(grid.shape) > 1:  # else none of its networks has an error
            low = float(grid.min().min())
            bounds = low + max(float(grid.max().max()) - low, 0.1) * np.linspace(0, 1, _NUM_SHADES) ** 2
            norm = PowerNorm(0.5, bounds[0], bounds[-1])
            filled = axis.contourf(grid.columns, grid.index, grid.to_numpy(float), levels=bounds, norm=norm, cmap="viridis")
            figure.colorbar(filled, ax=axis, label="test error (%)", format="%.3g")
        for (_, corner), look in zip(corners.iterrows(), style.others(len(corners)), strict=True):
            marks.points(axis, [corner["x"]], [corner["y"]], look, str(corner["state"]))
        axis.set_title(f"{key[0]}: {', '.join(key[1:])}")
        axis.set_xlabel(f"towards {key[2]}")
        axis.set_ylabel("across")
        axis.set_aspect("equal", adjustable="datalim")
        samples.count(axis, "network", 1)
    return figure


def checkpoint_spectra(frames: Frames, sparse_levels: Levels) -> Figure:
    """Share of the Hessian's spectrum below each value, a line a checkpoint."""
    frame = frames["checkpoint_spectra"]
    figure, panels = layout.each_task(frame)
    for axis, task, own in panels:
        names = sorted(own["checkpoint"].unique())
        for name, look in zip(names, style.others(len(names)), strict=True):
            rows = selection.where(own, checkpoint=name).sort_values("node")
            share = rows["weight"].cumsum() / rows["probe"].nunique()
            x, y = [rows["node"].iloc[0], *rows["node"]], [0.0, *share]
            axis.step(x, y, where="post", label=name, markevery=max(1, len(x) // 6), **look.line())
        scales.eigenvalue_axis(axis, own["node"])
        samples.count(axis, "network", 1)
        axis.set_title(task)
        axis.set_ylabel("share of eigenvalues")
        axis.set_ylim(-0.03, 1.03)
    return figure
