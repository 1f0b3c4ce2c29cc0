"""Random affine subspaces and planted quadratic wells; of no task. Source: paper C, lemma 3.1."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy import stats

from pipeline_lib.claims import estimates
from pipeline_lib.claims.estimates import Interval
from pipeline_lib.claims.evidence import NOWHERE, Evidence, Missing
from pipeline_lib.claims.rules import Measured


def _crossing(x: np.ndarray, y: np.ndarray, share: float) -> float:
    """Find where a curve comes up to a share; infinite if it never does, minus infinity if it is there from the first point."""
    i = int(np.argmax(y >= share))
    if y[i] < share:
        return NOWHERE
    return -NOWHERE if i == 0 else float(x[i - 1] + (x[i] - x[i - 1]) * (share - y[i - 1]) / (y[i] - y[i - 1]))


def _places(ev: Evidence, share: float) -> list[Interval]:
    """Find the dimension from which so many subspaces meet the set, at each distance, by the interval of each share."""
    found = []
    for _, own in ev.rows("wells").groupby("distance"):
        rows = own.sort_values("subspace")
        x, y, trials = (rows[name].to_numpy() for name in ("subspace", "probability", "num_trials"))
        hits, rest = np.round(y * trials), (1 - ev.level) / 2
        low = np.where(hits > 0, stats.beta.ppf(rest, hits, trials - hits + 1), 0.0)
        high = np.where(hits < trials, stats.beta.ppf(1 - rest, hits + 1, trials - hits), 1.0)
        found.append(Interval(_crossing(x, y, share), _crossing(x, high, share), _crossing(x, low, share)))
    return found


def _trials(ev: Evidence) -> int:
    return int(ev.rows("wells")["num_trials"].min())


def _measured(ev: Evidence, found: list[Interval], take: str) -> Measured:
    chosen = max if take == "highest" else min
    value, low, high = (chosen(getattr(each, end) for each in found) for end in ("value", "low", "high"))
    return Measured(value, low, high, _trials(ev), _trials(ev))


def well_transition(ev: Evidence, take: Literal["lowest", "highest"]) -> Measured:
    """Divide the dimension at which half of the subspaces meet the set by the predicted one: the extreme over distances."""
    expected = ev.rows("wells").groupby("distance")["threshold"].first().tolist()
    both = zip(_places(ev, 0.5), expected, strict=True)
    return _measured(ev, [Interval(each.value / by, each.low / by, each.high / by) for each, by in both], take)


def well_width(ev: Evidence) -> Measured:
    """Give the widest transition, from a tenth of the subspaces to nine tenths, in percent of the dimension of the well.

    It is infinite where either is not reached.
    """
    size = float(ev.rows("wells")["dimension"].max())
    pairs = zip(_places(ev, 0.9), _places(ev, 0.1), strict=True)
    widths = [estimates.difference(late, early) for late, early in pairs]
    return _measured(ev, [Interval(*(100 * end / size for end in (w.value, w.low, w.high))) for w in widths], "highest")


def well_probability(ev: Evidence) -> Measured:
    """Give the lowest share, in percent, of subspaces that meet the set a twentieth of all dimensions above the predicted one."""
    frame = ev.rows("wells")
    above = frame[frame["subspace"] >= frame["threshold"] + 0.05 * frame["dimension"]]
    trials = list(zip(above["probability"].tolist(), above["num_trials"].tolist(), strict=True))
    if above["distance"].nunique() < frame["distance"].nunique():
        raise Missing("subspaces well above the predicted dimension at each distance")
    found = estimates.lowest([estimates.share(share * num, num) for share, num in trials])(ev.level)
    return Measured(found.value, found.low, found.high, _trials(ev), _trials(ev))
