"""A panel: axes that remember what depends on all that is drawn, until the figure is finished."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes

from pipeline_lib.figures.support.remembered import Sample, Spread

if TYPE_CHECKING:
    import pandas as pd


class Panel(Axes):
    """Axes, what points are means of, what else is said above them, spreads of lines, and the table that they are."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.samples: list[Sample] = []
        self.said: list[str] = []
        self.spreads: list[Spread] = []
        self.words: pd.DataFrame | None = None
