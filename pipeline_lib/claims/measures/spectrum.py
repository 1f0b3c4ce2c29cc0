"""Curvature of the training loss of the dense network."""

from __future__ import annotations

from pipeline_lib.claims import evidence
from pipeline_lib.claims.evidence import Found, Frames, Measured


def negative_curvature_fall(frames: Frames, task: str, sparse_level: int, from_step: int, to_step: int, least: int = 3) -> Found:
    """Divide |smallest| / largest eigenvalue of the Hessian at one step by that at an earlier one, each averaged over seeds."""
    frame = frames.get("curvature")
    if frame is None:
        return None
    rows = frame[(frame["task"] == task) & (frame["level"] == 0)]
    points = evidence.by_step(rows.assign(share=rows["bottom"].abs() / rows["top"]), "share", least, "step")
    early, late = points.get(from_step), points.get(to_step)
    if early is None or late is None or early.value == 0:
        return None
    return Measured(late.value / early.value, None, min(early.num, late.num))
