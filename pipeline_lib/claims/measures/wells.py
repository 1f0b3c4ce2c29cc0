"""Random affine subspaces and planted quadratic wells; the same for every task. Source: paper C, lemma 3.1."""

from __future__ import annotations

from typing import Literal

import numpy as np

from pipeline_lib.claims.evidence import Found, Frames, Measured


def _at(frames: Frames, probability: float) -> list[float] | None:
    """Give the dimension, over that which the lemma predicts, at which so many subspaces meet the set, for each distance."""
    frame, found = frames.get("wells"), []
    for _, own in frame.groupby("distance") if frame is not None else ():
        rows = own.sort_values("subspace")
        x, y = rows["subspace"].to_numpy(), rows["probability"].to_numpy()
        i = int(np.argmax(y >= probability))
        if y[i] < probability or i == 0:
            return None
        place = x[i - 1] + (x[i] - x[i - 1]) * (probability - y[i - 1]) / (y[i] - y[i - 1])
        found.append(float(place))
    return found or None


def well_transition(frames: Frames, task: str, sparse_level: int, take: Literal["lowest", "highest"]) -> Found:
    """Divide the dimension at which half of the subspaces meet the set by the predicted one: the extreme over distances."""
    places = _at(frames, 0.5)
    if places is None:
        return None
    expected = frames["wells"].groupby("distance")["threshold"].first().tolist()
    ratios = [place / threshold for place, threshold in zip(places, expected, strict=True)]
    return Measured((max if take == "highest" else min)(ratios), None, int(frames["wells"]["num_trials"].min()))


def well_width(frames: Frames, task: str, sparse_level: int) -> Found:
    """Give the widest transition, from a tenth of the subspaces to nine tenths, in percent of the dimension of the well."""
    low, high = _at(frames, 0.1), _at(frames, 0.9)
    if low is None or high is None:
        return None
    widest = max(b - a for a, b in zip(low, high, strict=True))
    return Measured(100 * widest / float(frames["wells"]["dimension"].max()), None, int(frames["wells"]["num_trials"].min()))


def well_probability(frames: Frames, task: str, sparse_level: int) -> Found:
    """Give the lowest share, in percent, of subspaces that meet the set a twentieth of all dimensions above the predicted one."""
    frame = frames.get("wells")
    if frame is None or not len(frame):
        return None
    above = frame[frame["subspace"] >= frame["threshold"] + 0.05 * frame["dimension"]]
    if above["distance"].nunique() < frame["distance"].nunique():
        return None
    return Measured(100 * float(above["probability"].min()), None, int(frame["num_trials"].min()))
