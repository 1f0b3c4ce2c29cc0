"""Curvature of the training loss of the dense network."""

from __future__ import annotations

from pipeline_lib.claims import evidence
from pipeline_lib.claims.evidence import Evidence
from pipeline_lib.claims.rules import Measured


def negative_curvature_fall(ev: Evidence, from_step: int, to_step: int) -> Measured:
    """Divide |smallest| / largest eigenvalue of the Hessian at one step by that at an earlier one, each averaged over seeds."""
    rows = ev.rows("curvature", level=0)
    points = evidence.by(rows.assign(share=rows["bottom"].abs() / rows["top"]), "step", "share")
    return ev.ratio(*(evidence.at(points, step, "step") for step in (to_step, from_step)))
