"""How much of a solution can be pruned at once, by the curvature of the loss around it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline_lib.tables.derived._solutions import SOLUTION, at_solutions, plain, rebuilt

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from pipeline_lib.analysis.spectra import Spectrum

TABLES = {
    "limits": {
        "from": ["spectrum", "cuts", "fits"],
        "asks": ["tolerances"],
        "of": ["the solution"],
        "columns": [
            "task", "seed", "k", "level", "operator", "epsilon",
            ["epsilon_error", "double", "nats", "its standard error, as in `fits`"],
            ["distance", "double", "1", "R: L2 length of the step from the solution to its projection"],
            ["c", "double", "1", "2 epsilon / R^2; null where the solution has no sublevel set"],
            ["clamped", "double", "1", "largest ratio that can be pruned; eigenvalues below 0 are 0; null if it moves too much"],
            ["absolute", "double", "1", "the same with the absolute values of eigenvalues"],
            ["dropped", "double", "1", "the same over positive eigenvalues alone"],
            ["lower", "double", "1", "lower end of a 95 % band for `clamped`: of the quadrature, the probes and epsilon"],
            ["upper", "double", "1", "upper end of the band"],
            ["unsettled", "double", "1", "`clamped`, whether or not it moves too much"],
            ["width", "double", "1", "how far more iterations could move it: the bracket, or the size of `change`"],
            ["bias", "double", "1", "how far it moved from half as many training images; null if fewer were not tried"],
            ["standard_error", "double", "1", "of `unsettled`, from how the probes differ; null for a single one"],
            ["change", "double", "1", "of `unsettled` over the second half of the iterations, the largest"],
        ],
    },
}  # fmt: skip

Frames = dict[str, "pd.DataFrame"]
Rows = list[dict[str, Any]]

NUM_DISTANCES = 40
_NORMAL = 1.96  # standard errors on either side of epsilon, for 95 %
_PREDICTED = ("clamped", "absolute", "dropped", "lower", "upper", "unsettled")


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _distances(cuts: pd.DataFrame) -> np.ndarray:
    """Give the distances of a level's cuts, and a grid from a quarter of the smallest to twice the largest, ascending."""
    import numpy as np

    own = cuts["distance"][cuts["distance"] > 0].to_numpy()
    return np.union1d(np.geomspace(own.min() / 4, 2 * own.max(), NUM_DISTANCES), own) if len(own) else own


@dataclass(frozen=True)
class _Height:
    """Height of the sublevel set above a solution; at most 0 where it has none. The error is 0 where it is not known."""

    epsilon: float
    error: float

    def c(self, distances: Sequence[float], errors: float = 0.0) -> list[float]:
        """Give 2 epsilon / R^2, so many standard errors off."""
        return [2 * (self.epsilon + errors * self.error) / distance**2 for distance in distances]


def _bounds(found: Spectrum, c: list[float], operator: str) -> list[tuple[float, float]]:
    """Give between which values endless iterations and probes would be; 0 where there is no set."""
    from pipeline_lib.analysis.resolution import SEMIDEFINITE, lowest_node
    from pipeline_lib.analysis.spectra import f_max, f_max_bounds

    if c[0] <= 0:
        return [(0.0, 0.0)] * len(c)
    limits = f_max(found, c)
    moves = [(each.value - abs(each.change), each.value + abs(each.change)) for each in limits]
    known = f_max_bounds(found, c, lowest_node(found)) if operator in SEMIDEFINITE else moves
    spreads = [each.spread for each in limits]
    return [(max(low - s, 0.0), min(high + s, 1.0)) for (low, high), s in zip(known, spreads, strict=True)]


def _curve(
    found: Spectrum, biases: list[float] | None, height: _Height, distances: list[float], operator: str, most: float
) -> Rows:
    """Predict the limits at some distances, and say how well they are known; more than `most` may not move."""
    from pipeline_lib.analysis.resolution import SEMIDEFINITE, unsettled
    from pipeline_lib.analysis.spectra import NEGATIVE, f_max

    low = [each for each, _ in _bounds(found, height.c(distances, -_NORMAL), operator)]
    high = [each for _, each in _bounds(found, height.c(distances, _NORMAL), operator)]
    ends = [{"lower": one, "upper": other} for one, other in zip(low, high, strict=True)]
    if height.epsilon <= 0:
        same = {"c": None, "width": 0.0, "bias": None, "standard_error": None, "change": 0.0}
        return [dict.fromkeys(_PREDICTED, 0.0) | same | each for each in ends]
    c = height.c(distances)
    curves = {negative: f_max(found, c, negative) for negative in NEGATIVE}
    widths, rows = unsettled(found, c, operator in SEMIDEFINITE), Rows()
    for i, (width, end) in enumerate(zip(widths, ends, strict=True)):
        bias = biases[i] if biases else 0.0
        own = {name: curve[i] for name, curve in curves.items()}
        moves = {name: max(width if name == "clamped" else abs(each.change), abs(bias)) for name, each in own.items()}
        row = {name: _known(each.value) if moves[name] <= most else None for name, each in own.items()}
        row |= {"c": c[i], "unsettled": own["clamped"].value, "width": width, "bias": bias if biases else None}
        row |= {"standard_error": _known(own["clamped"].standard_error), "change": own["clamped"].change}
        rows.append(row | end)
    return rows


def _biases(own: pd.DataFrame, c: list[float]) -> list[float] | None:
    """Tell how far the limits moved from half the images to all, by the operator that was measured on both."""
    from pipeline_lib.analysis.spectra import f_max

    for _, rows in own.groupby("operator"):
        sizes = sorted(set(rows["num_examples"]))
        if len(sizes) > 1 and c[0] > 0:
            before, now = (f_max(rebuilt(rows[rows["num_examples"] == size]), c) for size in sizes[-2:])
            return [all_.value - half.value for all_, half in zip(now, before, strict=True)]
    return None


def limits(frames: Frames, spec: dict[str, Any]) -> Rows:
    """Predict the largest ratio by which each solution can be pruned, against the distance that pruning moves it.

    `f_max(c)` at `c = 2 epsilon / R^2`, over a grid of distances and at those of the cuts themselves. A solution at or above the
    matching loss has no sublevel set, and no subspace meets it: its limit is 0. Where the matching loss is not known there are no
    rows. A limit that more iterations, or twice the images, move by more than the tolerance is null.

    Args:
        frames: `spectrum`, `cuts` and `fits`.
        spec: by task `tolerances`.

    Source: paper C, section 3.3 and lemma 3.1; ambiguities C-X5, C-X6, C-X7.
    Differs: R is the distance to the projection, which the theory needs; appendix B writes that between solutions (C-X2).
    """
    known = frames["fits"].dropna(subset=["matching_loss", "train_loss"]).set_index(SOLUTION)
    fits: Any = known[["matching_loss", "train_loss", "epsilon_error"]].to_dict("index")
    cuts: dict[Any, list[float]] = {key: _distances(own).tolist() for key, own in frames["cuts"].groupby(SOLUTION)}
    rows: Rows = []
    for key, own in at_solutions(frames["spectrum"]).groupby(SOLUTION, sort=True):
        if key not in fits or not cuts.get(key):
            continue
        fit, distances = fits[key], cuts[key]
        error = float(fit["epsilon_error"]) if fit["epsilon_error"] is not None else math.nan
        height = _Height(fit["matching_loss"] - fit["train_loss"], error if math.isfinite(error) else 0.0)
        biases = _biases(own, height.c(distances))
        for operator, measured in own.groupby("operator", sort=True):
            most = measured[measured["num_examples"] == measured["num_examples"].max()]
            curve = _curve(rebuilt(most), biases, height, distances, str(operator), spec["tolerances"][plain(key)[0]])
            who = dict(zip(SOLUTION, plain(key), strict=True)) | {"operator": operator}
            who |= {"epsilon": height.epsilon if height.epsilon > 0 else None, "epsilon_error": _known(error)}
            home = most["key"].iloc[0]
            rows += [who | {"distance": distance} | row | {"key": home} for distance, row in zip(distances, curve, strict=True)]
    return rows
