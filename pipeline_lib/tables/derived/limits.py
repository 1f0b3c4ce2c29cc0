"""How much of a solution can be pruned at once, by the curvature of the loss around it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from pipeline_lib.tables import tabulation
from pipeline_lib.tables.derived._matching import matching_error

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from pipeline_lib.analysis.spectra import Spectrum

TABLES = {
    "fits": {
        "from": ["cuts", "runs"],
        "asks": ["fit_levels", "fit_fractions"],
        "of": ["the solution"],
        "columns": [
            "task", "seed", "k", "level",
            ["train_loss", "double", "nats", "training loss of the solution"],
            "epsilon",
            ["matching_loss", "double", "nats", "training loss where the fitted test error is the dense network's threshold"],
            ["slope", "double", "1/nats", "of test error against training loss, fitted to randomly pruned networks"],
            ["intercept", "double", "1", "of the same line"],
            ["num_points", "int64", "1", "networks that it is fitted to"],
        ],
    },
    "limits": {
        "from": ["spectrum", "cuts", "fits"],
        "of": ["the solution"],
        "columns": [
            "task", "seed", "k", "level", "operator", "epsilon",
            ["distance", "double", "1", "R: L2 length of the step from the solution to its projection"],
            ["c", "double", "1", "2 epsilon / R^2"],
            ["clamped", "double", "1", "largest ratio that can be pruned; eigenvalues below 0 count as 0"],
            ["absolute", "double", "1", "the same with the absolute values of eigenvalues"],
            ["dropped", "double", "1", "the same over positive eigenvalues alone"],
            ["standard_error", "double", "1", "of `clamped`, over probes; null for a single one"],
            ["change", "double", "1", "of `clamped` from half the iterations to all: how far the quadrature still moves"],
        ],
    },
}  # fmt: skip

Frames = dict[str, "pd.DataFrame"]
Rows = list[dict[str, Any]]

NUM_DISTANCES = 40
_FLAT = 1e-9  # a slope that may be rounding alone
_RUN = ["task", "seed", "k"]
_SOLUTION = [*_RUN, "level"]
_CURVE = [*_SOLUTION, "operator"]


def _named(names: list[str], key: Any) -> dict[str, Any]:
    """Name the parts of a group's key, as plain Python values."""
    return {name: value if isinstance(value, str) else int(value) for name, value in zip(names, key, strict=True)}


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _line(points: pd.DataFrame) -> tuple[float, float]:
    """Fit test error against training loss: slope and intercept, NaN where the points do not make a line."""
    import numpy as np

    if points["train_loss"].nunique() < 2:
        return math.nan, math.nan
    slope, intercept = np.polyfit(points["train_loss"], points["test_error"], 1)
    return float(slope), float(intercept)


def fits(frames: Frames, spec: dict[str, Any]) -> Rows:
    """Estimate the height of the matching sublevel set of the training loss above each solution.

    A line through one level's solution and its randomly pruned selves, `test error = intercept + slope * training loss`, tells at
    which training loss networks just match; epsilon is how far that is above the solution of each level. It is null where the
    solution is not below that loss, or the line does not rise.

    Args:
        frames: `cuts` and `runs`.
        spec: by task `fit_levels`, the level of the line, and `fit_fractions`, those that are on it.

    Source: paper C, appendix B, on figure 5; ambiguity C-X5: the networks on the line are not retrained.
    Differs: the paper reads the line at the test error of dense networks; here it is read one deviation over seeds higher, at the
        matching threshold of its definition 2.2.
    """
    rows: Rows = []
    for key, own in frames["cuts"].groupby(_RUN, sort=True):
        who = _named(_RUN, key)
        small = own[
            (own["level"] == spec["fit_levels"][who["task"]]) & own["fraction"].isin([0, *spec["fit_fractions"][who["task"]]])
        ]
        points = small[small["criterion"] != "magnitude"].dropna(subset=["train_loss", "test_error"])
        slope, intercept = _line(points)
        matching = (matching_error(frames["runs"], who["task"], who["k"]) - intercept) / slope if slope > _FLAT else math.nan
        line = {"matching_loss": _known(matching), "slope": _known(slope), "intercept": _known(intercept)}
        solutions = own[own["criterion"] == "none"].sort_values("level")
        losses = solutions["train_loss"].astype(float)
        for level, loss, home in zip(solutions["level"], losses, solutions["key"], strict=True):
            epsilon = _known(matching - loss) if matching > loss else None
            heights = {"train_loss": _known(loss), "epsilon": epsilon}
            rows.append(who | {"level": int(level)} | heights | line | {"num_points": len(points), "key": home})
    return rows


def _distances(cuts: pd.DataFrame) -> np.ndarray:
    """Give the distances of a level's cuts, and a grid from a quarter of the smallest to twice the largest, ascending."""
    import numpy as np

    own = cuts["distance"][cuts["distance"] > 0].to_numpy()
    return np.union1d(np.geomspace(own.min() / 4, 2 * own.max(), NUM_DISTANCES), own) if len(own) else own


def _rebuilt(rows: pd.DataFrame) -> Spectrum:
    """Put the small matrices of all probes together again."""
    from pipeline_lib.analysis.lanczos import Tridiagonal
    from pipeline_lib.analysis.spectra import Spectrum

    probes = []
    for _, probe in rows.sort_values("index").groupby("probe", sort=True):
        beside = probe["beta"].to_numpy()
        probes.append(Tridiagonal(probe["alpha"].to_numpy(), beside[:-1], float(beside[-1])))
    return Spectrum(int(rows["dimension"].iloc[0]), probes)


def limits(frames: Frames, spec: dict[str, Any]) -> Rows:
    """Predict the largest ratio by which each solution can be pruned, against the distance that pruning moves it.

    `f_max(c)` at `c = 2 epsilon / R^2`, over a grid of distances and at those of the cuts themselves. Levels without an epsilon
    have no sublevel set, and no rows.

    Args:
        frames: `spectrum`, `cuts` and `fits`.
        spec: not used.

    Source: paper C, section 3.3 and lemma 3.1; ambiguities C-X5, C-X6, C-X7.
    Differs: R is the distance to the projection, which the theory needs; appendix B writes that between solutions (C-X2).
    """
    from pipeline_lib.analysis.spectra import NEGATIVE, f_max

    found = frames["spectrum"]
    found = tabulation.of_kind(found[found["vector"] == "rademacher"], "imp")
    heights = frames["fits"].dropna(subset=["epsilon"]).set_index(_SOLUTION)["epsilon"].to_dict()
    cuts = {key: _distances(own) for key, own in frames["cuts"].groupby(_SOLUTION)}
    rows: Rows = []
    for key, own in found.groupby(_CURVE, sort=True):
        who = _named(_CURVE, key)
        where = tuple(who[name] for name in _SOLUTION)
        if where not in heights:
            continue
        distances, epsilon = cuts[where], float(heights[where])
        c = 2 * epsilon / distances**2
        last = own[own["step"] == own["step"].max()]  # of a dense run there may be earlier steps too
        whole, home = _rebuilt(last), last["key"].iloc[0]
        curves = {negative: f_max(whole, c.tolist(), negative) for negative in NEGATIVE}
        for i, distance in enumerate(distances.tolist()):
            row = who | {"epsilon": epsilon, "distance": distance, "c": float(c[i])}
            row |= {negative: _known(curve[i].value) for negative, curve in curves.items()}
            clamped = curves["clamped"][i]
            errors = {"standard_error": _known(clamped.standard_error), "change": _known(clamped.change)}
            rows.append(row | errors | {"key": home})
    return rows
