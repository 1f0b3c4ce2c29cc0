"""Values by block of a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline_lib.figures.support import layout, marks, scales, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def by_block(frame: pd.DataFrame, y: str, label: str, within: marks.Range) -> Figure:
    """Draw the mean of `y` at each block of dense networks: a panel a task, a line a rewind step."""
    frame = frame[frame["level"] == 0]
    figure, panels = layout.each_task(frame)
    looks = style.steps(frame["k"].unique().tolist())
    for axis, task, rows in panels:
        blocks = list(rows["block"].unique())
        own = rows.assign(place=rows["block"].map({block: i for i, block in enumerate(blocks)}))
        for k in sorted(own["k"].unique().tolist()):
            marks.line(axis, own[own["k"] == k], "place", y, looks[k], f"k = {k:,}", within)
        axis.set_title(task)
        axis.set_xticks(range(len(blocks)), [block.removeprefix("body.") for block in blocks], rotation=90)
        axis.set_ylabel(label)
        scales.from_zero(axis)
    return figure
