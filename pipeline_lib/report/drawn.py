"""Which rows of a table are about the networks that a figure needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline_lib.experiments.experiment import Experiment
from pipeline_lib.experiments.figure_needs import FIGURES
from pipeline_lib.tables import tabulation

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = ("task", "kind", "level", "k", "start", "noise_order")


def rows(frame: pd.DataFrame, figure: str, experiment: Experiment) -> pd.Series:
    """Tell of each row whether it is about a network that a figure needs; of a table that names none, all are.

    Args:
        frame: the table.
        figure: name of the figure.
        experiment: which networks it has.
    """
    import pandas as pd

    named = [name for name in _COLUMNS if name in frame]
    needed = {
        tuple({"task": task, "kind": run.kind if run.level else "dense", "level": run.level, "k": run.k, "start": run.start.text,
               "noise_order": run.order}[name] for name in named)
        for task, grid in experiment.grids.items()
        for run in FIGURES[figure].runs(grid)
    }  # fmt: skip
    every = pd.Series(True, index=frame.index)
    if not {"kind", "level", "k"} <= set(named) or not needed:
        return every
    asked = frame[named].assign(kind=frame["kind"].str.removesuffix(tabulation.CHANGED))
    found = pd.Series([row in needed for row in asked.itertuples(index=False, name=None)], index=frame.index, dtype=bool)
    return found if found.any() else every
