"""How high the matching sublevel set of the training loss is above each solution."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from pipeline_lib.core.rng import numpy_generator
from pipeline_lib.tables import rules
from pipeline_lib.tables.derived._solutions import plain

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

TABLES = {
    "fits": {
        "from": ["cuts", "runs"],
        "asks": ["fit_levels", "fit_fractions", "regressions"],
        "of": ["the solution"],
        "columns": [
            "task", "seed", "k", "level",
            ["train_loss", "double", "nats", "training loss of the solution"],
            "epsilon",
            ["epsilon_error", "double", "nats", "its standard error, over resampled cuts and dense networks; null if too few"],
            ["epsilon_reversed", "double", "nats", "epsilon by the other direction of the regression"],
            ["matching_loss", "double", "nats", "training loss where the fitted test error is the dense network's threshold"],
            ["slope", "double", "1/nats", "of test error against training loss, fitted to randomly pruned networks"],
            ["intercept", "double", "1", "of the same line"],
            ["num_points", "int64", "1", "networks that it is fitted to"],
        ],
    },
}  # fmt: skip

Frames = dict[str, "pd.DataFrame"]
Rows = list[dict[str, Any]]

DIRECTIONS = ("error_on_loss", "loss_on_error")
NUM_RESAMPLES = 1000
_FLAT = 1e-9  # a slope that may be rounding alone
_RUN = ["task", "seed", "k"]


def _known(value: float | np.ndarray) -> float | None:
    return float(value) if math.isfinite(value) else None


def _line(loss: np.ndarray, error: np.ndarray, direction: str) -> tuple[np.ndarray, np.ndarray]:
    """Fit lines to points along the last axis: slope and intercept of error against loss, NaN where they do not make a line.

    Args:
        loss: (..., num) training losses.
        error: (..., num) test errors.
        direction: which of the two the squares are of: of errors given losses, or of losses given errors.
    """
    import numpy as np

    if not loss.shape[-1]:
        return np.full(loss.shape[:-1], np.nan), np.full(loss.shape[:-1], np.nan)
    x, y = loss - loss.mean(-1, keepdims=True), error - error.mean(-1, keepdims=True)
    above, below = ((x * y), x**2) if direction == "error_on_loss" else (y**2, x * y)
    top, bottom = above.sum(-1), below.sum(-1)
    flat = np.abs(bottom) <= np.finfo(float).tiny
    slope = np.where(flat, np.nan, top / np.where(flat, 1.0, bottom))
    return slope, error.mean(-1) - slope * loss.mean(-1)


def _matching(slope: np.ndarray, intercept: np.ndarray, threshold: np.ndarray | float) -> np.ndarray:
    """Read the training loss at which the error is the threshold; NaN where the line does not rise."""
    import numpy as np

    rises = slope > _FLAT
    return np.where(rises, (threshold - intercept) / np.where(rises, slope, 1.0), np.nan)


def _error(points: pd.DataFrame, dense: np.ndarray, direction: str, rng: np.random.Generator) -> float | None:
    """Estimate the standard error of the matching loss: half the middle 68 % of what resampled points and dense networks give.

    A ratio has no variance to estimate, its quantiles are what there is. The solution itself is on every line.
    """
    import numpy as np

    home = (points["criterion"] == "none").to_numpy()
    others, known = np.flatnonzero(~home), dense[np.isfinite(dense)]
    if len(others) < 3 or not len(known):
        return None
    drawn = rng.choice(others, (NUM_RESAMPLES, len(others)))
    chosen = np.concatenate([np.tile(np.flatnonzero(home), (NUM_RESAMPLES, 1)), drawn], axis=1)
    loss, error = (points[name].to_numpy(dtype=float)[chosen] for name in ("train_loss", "test_error"))
    # As many values drawn from a few spread less than new ones would, by n - 1 in n.
    wide = known.mean() + (known - known.mean()) * math.sqrt(len(known) / max(len(known) - 1, 1))
    thresholds = rules.matching_error(rng.choice(wide, (NUM_RESAMPLES, len(known))))
    found = _matching(*_line(loss, error, direction), thresholds)
    found = found[np.isfinite(found)]
    if len(found) < 0.9 * NUM_RESAMPLES:
        return None  # a line that does not rise in a tenth of them tells nothing
    low, high = np.quantile(found, [0.16, 0.84])
    return float((high - low) / 2)


def _fitted(points: pd.DataFrame, dense: np.ndarray, direction: str, rng: np.random.Generator) -> dict[str, Any]:
    """Fit the line, and read it at the threshold; `reversed` is where the other direction's line is at it."""
    loss, error = (points[name].to_numpy(dtype=float) for name in ("train_loss", "test_error"))
    lines = {each: _line(loss, error, each) for each in DIRECTIONS}
    found = {each: _known(_matching(*line, rules.matching_error(dense))) for each, line in lines.items()}
    slope, intercept = map(_known, lines[direction])
    line = {"matching_loss": found.pop(direction), "reversed": found.popitem()[1], "slope": slope, "intercept": intercept}
    known = line["matching_loss"] is not None
    return line | {"epsilon_error": _error(points, dense, direction, rng) if known else None, "num_points": len(points)}


def fits(frames: Frames, spec: dict[str, Any]) -> Rows:
    """Estimate the height of the matching sublevel set of the training loss above each solution.

    A line through one level's solution and its randomly pruned selves, `test error = intercept + slope * training loss`, tells at
    which training loss networks just match; epsilon is how far that is above the solution of each level. It is null where the
    solution is not below that loss, or the line does not rise. Its error is that of a line through as many points, and of a
    threshold from as many dense networks, both drawn anew.

    Args:
        frames: `cuts` and `runs`.
        spec: by task `fit_levels`, the level of the line, `fit_fractions`, those that are on it, and `regressions`, of what its
            squares are: `error_on_loss` or `loss_on_error`.

    Source: paper C, appendix B, on figure 5; ambiguity C-X5: the networks on the line are not retrained.
    Differs: the paper reads the line at the test error of dense networks; here it is read one deviation over seeds higher, at the
        matching threshold of its definition 2.2. Of the regression it says neither direction.
    """
    rows: Rows = []
    for key, own in frames["cuts"].groupby(_RUN, sort=True):
        who = dict(zip(_RUN, plain(key), strict=True))
        task = who["task"]
        on_line = own["fraction"].isin([0, *spec["fit_fractions"][task]]) & (own["criterion"] != "magnitude")
        small = own[on_line & (own["level"] == spec["fit_levels"][task])]
        dense = rules.dense(frames["runs"][frames["runs"]["task"] == task])["test_error"].to_numpy(dtype=float)
        rng = numpy_generator("fits", *who.values())
        line = _fitted(small.dropna(subset=["train_loss", "test_error"]), dense, spec["regressions"][task], rng)
        other = line.pop("reversed")
        solutions = own[own["criterion"] == "none"].sort_values("level")
        losses = solutions["train_loss"].astype(float)
        for level, loss, home in zip(solutions["level"], losses, solutions["key"], strict=True):
            heights = {"train_loss": _known(loss)}
            for name, value in (("epsilon", line["matching_loss"]), ("epsilon_reversed", other)):
                heights[name] = _known(value - loss) if value is not None and value > loss else None
            rows.append(who | {"level": int(level)} | heights | line | {"key": home})
    return rows
