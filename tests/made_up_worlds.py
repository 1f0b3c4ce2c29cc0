"""Made-up tables in which values are missing: of diverged runs, of networks without weights, without a row."""

from __future__ import annotations

import made_up
import pandas as pd

# What tells the rows of a table apart, and is known whatever becomes of a run.
KNOWN = {
    "k",
    "level",
    "level_1",
    "level_2",
    "density",
    "density_1",
    "density_2",
    "alpha",
    "fraction",
    "quantile",
    "seed",
    "noise_order",
}
KNOWN |= {"order_1", "order_2", "step", "step_1", "step_2", "start_step", "num_seeds", "num_weights"}
LOST = (
    "curves",
    "validation",
    "telemetry",
    "timeline",
    "planes",
    "marks",
    "sets",
    "magnitudes",
    "geometry",
)  # have no rows of a diverged run
APART = ("wells", "networks", "signs", "perturbations", "claims")  # do not depend on what becomes of runs


def without_values(frame: pd.DataFrame, where: pd.Series | None = None) -> pd.DataFrame:
    """Make the rows those of runs that have no value: all measured numbers are null."""
    measured = [c for c in frame.columns if pd.api.types.is_float_dtype(frame[c]) and c not in KNOWN]
    found = frame.copy()
    found.loc[frame.index if where is None else where, measured] = float("nan")
    return found


def diverged() -> dict[str, pd.DataFrame]:
    """All tables of an experiment whose runs have all diverged."""
    found = {}
    for name, frame in made_up.frames().items():
        found[name] = frame.iloc[:0] if name in LOST else frame if name in APART else without_values(frame)
    return found


def without_weights(measured: bool) -> dict[str, pd.DataFrame]:
    """All tables of an experiment whose last level has no weight left; its networks were trained all the same, or not."""
    found = made_up.frames()
    for name, frame in found.items():
        if "level" in frame and "density" in frame:
            last = frame["level"] == 2
            changed = frame.assign(density=frame["density"].where(~last, 0.0))
            found[name] = changed if measured else without_values(changed, last)
        elif "density_2" in frame and not measured:
            found[name] = without_values(
                frame.assign(density_2=frame["density_2"].where(frame["level_2"] != 2, 0.0)), frame["level_2"] == 2
            )
        elif name in LOST and "level" in frame and not measured:
            found[name] = frame[frame["level"] != 2]
    return found


def empty() -> dict[str, pd.DataFrame]:
    """All tables without a row."""
    return {name: frame.iloc[:0] for name, frame in made_up.frames().items()}
