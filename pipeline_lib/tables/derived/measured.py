"""What was measured around solutions without a Hessian, in the terms of what their spectra say."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from pipeline_lib.tables.derived._solutions import SOLUTION, at_solutions, plain, rebuilt

if TYPE_CHECKING:
    import pandas as pd

TABLES = {
    "measured_limits": {
        "from": ["radii", "limits"],
        "of": ["the solution"],
        "columns": [
            "task", "seed", "k", "level",
            ["direction", "string", "-", "of what kind of directions radii were measured, as in `radii`"],
            ["distance", "double", "1", "R: L2 length of the step from the solution to its projection"],
            ["share", "double", "1", "the lemma's sum from measured radii: mean of r^2 / (R^2 + r^2) over directions"],
            ["share_error", "double", "1", "its standard error over directions; null for a single one"],
            ["gauss_newton", "double", "1", "largest ratio by the spectrum of the Gauss-Newton matrix, as in `limits`"],
            ["hessian", "double", "1", "the same by that of the Hessian"],
            ["num_radii", "int64", "1", "directions, each way counted; those that end far out count as endless"],
        ],
    },
    "outliers": {
        "from": ["class_means", "spectrum"],
        "of": ["the solution"],
        "columns": [
            "task", "seed", "k", "level",
            ["rank", "int64", "-", "from 1, the largest first"],
            ["class_means", "double", "1", "eigenvalue of the Gram matrix of class means of the logits' gradients"],
            ["gauss_newton", "double", "1", "eigenvalue of the Gauss-Newton matrix; null if it has not converged"],
            ["hessian", "double", "1", "eigenvalue of the Hessian; null if it has not converged"],
        ],
    },
}  # fmt: skip

Frames = dict[str, "pd.DataFrame"]
Rows = list[dict[str, Any]]

OPERATORS = ("gauss_newton", "hessian")
BEYOND = 5  # ranks after those of classes, to see where outliers end


def _known(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def measured_limits(frames: Frames, spec: dict[str, Any]) -> Rows:
    """Take the lemma's sum from measured radii, beside the limits by the two spectra, at the distances of these.

    Args:
        frames: `radii` and `limits`.
        spec: not used.

    Source: paper C, lemma 3.1.
    """
    from pipeline_lib.analysis.radii import lemma_share

    limits = dict(list(frames["limits"].groupby(SOLUTION)))
    rows: Rows = []
    for key, own in frames["radii"].groupby([*SOLUTION, "direction"], sort=True):
        where = key[: len(SOLUTION)]
        if where not in limits:
            continue
        beside = limits[where].pivot_table(index="distance", columns="operator", values="clamped", dropna=False)
        beside = beside.reindex(columns=list(OPERATORS))
        distances, radii = beside.index.to_numpy(dtype=float), own["radius"].fillna(math.inf).to_numpy(dtype=float)
        share, error = lemma_share(radii, distances)
        who = dict(zip(SOLUTION, plain(where), strict=True)) | {"direction": key[-1]}
        for i, distance in enumerate(distances.tolist()):
            found = {name: _known(beside[name].iloc[i]) for name in OPERATORS}
            row = {"distance": distance, "share": float(share[i]), "share_error": _known(error[i]), "num_radii": len(radii)}
            rows.append(who | row | found | {"key": own["key"].iloc[0]})
    return rows


def outliers(frames: Frames, spec: dict[str, Any]) -> Rows:
    """Put the class means' eigenvalues beside the largest ones of the spectra, rank by rank.

    Args:
        frames: `class_means` and `spectrum`.
        spec: not used.

    Source: Papyan, 2020.
    """
    from pipeline_lib.analysis.spectra import top_values

    spectra = dict(list(at_solutions(frames["spectrum"]).groupby(SOLUTION)))
    rows: Rows = []
    for key, own in frames["class_means"].groupby(SOLUTION, sort=True):
        if key not in spectra:
            continue
        values = own.sort_values("rank")["value"].tolist()
        tops: dict[str, list[float | None]] = {name: [] for name in OPERATORS}
        for operator, measured in spectra[key].groupby("operator"):
            most = measured[measured["num_examples"] == measured["num_examples"].max()]
            tops[str(operator)] = top_values(rebuilt(most).full[0], len(values) + BEYOND)
        for i in range(len(values) + BEYOND):
            found = {name: tops[name][i] if i < len(tops[name]) else None for name in OPERATORS}
            row = {"rank": i + 1, "class_means": values[i] if i < len(values) else None} | found
            rows.append(dict(zip(SOLUTION, plain(key), strict=True)) | row | {"key": own["key"].iloc[0]})
    return rows
