"""A ladder's solutions in weight space: where they lie, and the error on the lines between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline_lib.experiments import comparisons
from pipeline_lib.figures.support import layout, marks, samples, scales, selection, style
from pipeline_lib.tables import rules

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from pipeline_lib.figures.support.panel import Panel

# What each figure needs (`experiments.figure_needs`), and what the report says under it.
FIGURES = {
    "landscape": {
        "runs": "ladder_at_last_k", "tables": ["geometry"], "sparse": True, "option": "connectivity",
        "measures": ["ladder"],
        "caption": (
            "Rewind points (circles), solutions (triangles) and projections (crosses) of one ladder at the last rewind "
            "step, placed in the plane such that their distances are as near as possible to those between weights, root "
            "mean square over seeds. Lines: training, and pruning without training. At most five levels; above each "
            "panel, how much of the sum of squared distances the plane shows (paper C, figure 1)."
        ),
    },
    "level_paths": {
        "runs": "imp_at_every_k", "tables": ["paths", "barriers", "runs"], "sparse": True, "option": "connectivity",
        "measures": ["lines_of_every_ladder"],
        "caption": (
            "Test error on the straight lines from each solution of a ladder to that of the next level, a line a rewind "
            "step k; the same for the last k, cut off above what the solutions themselves reach, with the mean and "
            "standard deviation of dense networks; and for that k the highest error on the line between the solutions of "
            "any two levels, on the diagonal a solution's own. The darkest colour stands for all errors up to the dense "
            "mean plus one standard deviation. Means over seeds, bands of one standard deviation (paper C, figures 2 and "
            "12)."
        ),
    },
    "robustness": {
        "runs": "robust", "tables": ["barriers", "runs"], "sparse": True, "option": "connectivity",
        "measures": ["lines_of_the_last_ladder", "lines_to_perturbed"],
        "caption": (
            "Test error halfway between two solutions less the mean of the two, at the last rewind step: between those of "
            "successive levels, and between a solution and what its rewind point trains to after a random change, as "
            "large as the next pruning's. The dashed line is no rise, the grey band one standard deviation of the dense "
            "test error. Means over seeds, bands of one standard deviation (paper C, figures 4 and 15)."
        ),
    },
}  # fmt: skip

Frames = dict[str, "pd.DataFrame"]
Levels = dict[str, int]
Point = tuple[str, int]
Squares = dict[tuple[Point, Point], float]

_MARKERS = {"rewind": ("o", 6), "solution": ("^", 9), "projection": ("X", 5)}  # and sizes: projections lie near solutions
_LINES = (("rewind", "solution", "train", "-"), ("solution", "projection", "prune", ":"))
_MOST_LEVELS = 5  # in the schematic
_ZOOM = 0.3  # room above and below the solutions' errors, as a share of their range


def _squares(own: pd.DataFrame) -> Squares:
    """Give the squared distance of each pair of points, mean over seeds, of at most a few levels."""
    shown = selection.spread_out([*own["level_1"], *own["level_2"]], _MOST_LEVELS)
    own = own[own["level_1"].isin(shown) & own["level_2"].isin(shown)]
    pairs = own.assign(square=own["distance"] ** 2).groupby(["point_1", "level_1", "point_2", "level_2"])
    means = pairs["square"].mean().reset_index()
    return {((p, i), (q, j)): square for p, i, q, j, square in means.to_numpy().tolist()}


def _in_plane(squares: Squares) -> tuple[dict[Point, tuple[float, float]], float]:
    """Place points in the plane by classical scaling: their coordinates, and the share of squared distances that it shows.

    The first point lies to the left, and the one farthest from the horizontal axis above it.
    """
    points = sorted({point for pair in squares for point in pair}, key=lambda point: (point[1], list(_MARKERS).index(point[0])))
    table = np.zeros((len(points), len(points)))
    for pair, value in squares.items():
        i, j = (points.index(point) for point in pair)
        table[i, j] = table[j, i] = value
    centre = np.eye(len(points)) - 1 / len(points)
    values, vectors = np.linalg.eigh(-centre @ table @ centre / 2)
    values = values[::-1].clip(min=0)
    places = vectors[:, ::-1][:, :2] * np.sqrt(values[:2])
    places *= [-1 if places[0, 0] > 0 else 1, -1 if -places[:, 1].min() > places[:, 1].max() else 1]
    return {point: (float(x), float(y)) for point, (x, y) in zip(points, places, strict=True)}, values[:2].sum() / values.sum()


def _draw_points(axes: Panel, places: dict[Point, tuple[float, float]]) -> None:
    """Draw training and pruning of each level as lines, and its points in the level's colour."""
    levels = sorted({level for _, level in places})
    for level, colour in ((level, look.colour) for level, look in style.steps(levels).items()):
        axes.plot([], [], color=colour, linewidth=4, label=f"level {level}")
        for first, second, _, dash in _LINES:
            if {(first, level), (second, level)} <= set(places):
                axes.plot(
                    *zip(places[first, level], places[second, level], strict=True), color=colour, linestyle=dash, linewidth=1.2
                )
        for name, (marker, size) in _MARKERS.items():
            if (name, level) in places:
                x, y = places[name, level]
                axes.plot([x], [y], color=colour, marker=marker, markersize=size, linestyle="", markeredgecolor="white")
    for name, (marker, size) in _MARKERS.items():
        axes.plot([], [], color="0.3", marker=marker, markersize=size, linestyle="", label=name)
    for _, _, name, dash in _LINES:
        axes.plot([], [], color="0.3", linestyle=dash, linewidth=1.2, label=name)


def landscape(frames: Frames, sparse_levels: Levels) -> Figure:
    """Rewind points, solutions and projections of a ladder's levels, placed in the plane by their distances."""
    frame = selection.at_last_k(frames["geometry"])
    figure, panels = layout.placed([list(frame["task"].unique())])
    for axis, task in panels:
        own = selection.where(frame, task=task)
        places, share = _in_plane(_squares(own))
        _draw_points(axis, places)
        samples.seeds_of(axis, own, ["point_1", "level_1", "point_2", "level_2"])
        axis.set_aspect("equal", adjustable="datalim")
        axis.margins(0.1)
        axis.set_title(f"{task}, k = {own['k'].iloc[0]:,}\n{100 * share:.0f} % of squared distances")
        axis.set_xlabel("distance")
        axis.set_ylabel("distance")
    return figure


def _between_levels(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep test rows of the solutions of two successive levels."""
    frame = selection.where(frame, what="levels", split="test")
    return frame[frame["level_2"] == frame["level_1"] + 1]


def _positions(paths: pd.DataFrame) -> pd.DataFrame:
    """Give each seed's error in percent at each position: the level, and between levels the way to the next."""
    position = (paths["level_2"] - paths["alpha"]).round(6)
    rows = paths.assign(position=position, percent=100 * paths["error"])
    return rows.groupby(["task", "k", "seed", "position"], sort=False)["percent"].mean().reset_index()


def _along(axes: Panel, own: pd.DataFrame, looks: dict[int, style.Look]) -> None:
    """Draw the error along the path, a line a rewind step."""
    for k in sorted(own["k"].unique().tolist()):
        marks.line(axes, selection.where(own, k=k), "position", "percent", looks[k], f"k = {k:,}", marks.PERCENT)
    scales.level_axis(axes)
    axes.set_ylabel("test error (%)")


def _zoom(axes: Panel, last: pd.DataFrame, dense: pd.Series) -> None:
    """Add the matching band, and limit the axis to it and the solutions' own errors: higher barriers leave the panel."""
    marks.dense_band(axes, dense)
    solutions = last[last["position"] % 1 == 0].groupby("position")["percent"].mean()
    deviation = dense.std() if dense.notna().sum() > 1 else 0.0
    ends = [end for end in (*solutions, dense.mean() - deviation, dense.mean() + deviation) if np.isfinite(end)]
    if not ends:
        return
    low, high = min(ends), max(ends)
    room = max(_ZOOM * (high - low), 0.01)
    axes.set_ylim(low - room, high + room)


def _heat_map(figure: Figure, axes: Panel, own: pd.DataFrame, threshold: float) -> None:
    """Draw the highest error between the solutions of any two levels; what matches has the darkest colour."""
    from matplotlib.colors import PowerNorm

    levels = sorted({*own["level_1"], *own["level_2"]})
    table, names = np.full((len(levels), len(levels)), np.nan), [""] * len(levels)
    columns = ["max_error", "error_1", "error_2", "density_1", "density_2"]
    means = 100 * own.groupby(["level_1", "level_2"])[columns].mean()
    for one, two, highest, first, second, *densities in means.reset_index().to_numpy().tolist():
        i, j = levels.index(one), levels.index(two)
        table[i, j] = table[j, i] = highest
        table[i, i], table[j, j] = first, second
        names[i], names[j] = (f"{density:.3g}" for density in densities)
    if not (np.isfinite(threshold) and np.isfinite(table).any()):
        return
    samples.seeds_of(axes, own, ["level_1", "level_2"])
    norm = PowerNorm(0.5, threshold, max(threshold + 0.1, np.nanmax(table)))
    colours = axes.pcolormesh(table, cmap="cividis", norm=norm)
    figure.colorbar(colours, ax=axes, label="highest test error (%)", extend="min")
    ticks = range(0, len(names), -(-len(names) // 9))
    axes.set_xticks([i + 0.5 for i in ticks], [names[i] for i in ticks], rotation=45)
    axes.set_yticks([i + 0.5 for i in ticks], [names[i] for i in ticks])
    axes.set_xlabel("weights remaining (%)")
    axes.set_ylabel("weights remaining (%)")


def level_paths(frames: Frames, sparse_levels: Levels) -> Figure:
    """Error on the path through all solutions of a ladder, the same closer by, and the highest error between any two."""
    frame = _positions(_between_levels(frames["paths"]))
    pairs = selection.where(frames["barriers"], what="levels", split="test")
    figure, panels = layout.placed([[(task, part) for part in ("path", "zoom", "pairs")] for task in frame["task"].unique()])
    for axis, (task, part) in panels:
        own = selection.where(frame, task=task)
        k = own["k"].max()
        dense, highest = selection.dense_errors(frames["runs"], task), 100 * rules.highest_matching(frames["runs"], task)
        looks = style.steps(own["k"].unique().tolist())
        axis.set_title(task if part == "path" else f"{task}, k = {k:,}")
        if part == "pairs":
            chosen = selection.where(pairs, task=task, k=k)
            _heat_map(figure, axis, chosen, highest)
            continue
        _along(axis, own if part == "path" else selection.where(own, k=k), looks)
        if part == "zoom":
            _zoom(axis, selection.where(own, k=k), dense)
    return figure


def robustness(frames: Frames, sparse_levels: Levels) -> Figure:
    """Error halfway to the next level's solution, and to that from a random change of the same size, against the level."""
    barriers = selection.where(frames["barriers"], split="test")
    barriers = barriers.assign(points=100 * (barriers["midpoint_error"] - barriers["mean_end_error"]))
    random = selection.where(barriers, what="perturbed")
    random = selection.at_last_k(selection.where(random, change=comparisons.ROBUST))
    figure, panels = layout.placed([list(random["task"].unique())])
    for axis, task in panels:
        changed = selection.where(random, task=task)
        k = changed["k"].iloc[0]
        dense = selection.dense_errors(frames["runs"], task)
        marks.dense_band(axis, dense - dense.mean(), "no rise (dense)")
        successive = selection.where(_between_levels(barriers), task=task, k=k)
        marks.line(axis, successive, "level_1", "points", style.LOOKS["imp"], "next level")
        marks.line(axis, changed, "level_1", "points", style.LOOKS["random_prune"], "random change")
        scales.level_axis(axis)
        axis.set_title(f"{task}, k = {k:,}")
        axis.set_ylabel("test error halfway,\nover mean of ends (points)")
    return figure
