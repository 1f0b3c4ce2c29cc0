"""A panel: axes that remember what depends on all that is drawn, until the figure is finished."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes

from pipeline_lib.figures.support.remembered import Sample, Spread


class Panel(Axes):
    """Axes, what their points are means of, what else is to be said above them, and the spreads of their lines."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.samples: list[Sample] = []
        self.said: list[str] = []
        self.spreads: list[Spread] = []
