"""What a figure shows as a table: its own where it is one, else the means and spreads of its lines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from pipeline_lib.figures.support.panel import Panel

SUFFIXES = ("csv", "html", "tex")


def _drawn(panel: Panel) -> pd.DataFrame:
    import pandas as pd

    rows = [
        {"panel": " ".join(panel.get_title().splitlines()), "line": str(each.line.get_label()), "x": x, "mean": mean}
        | {"low": low, "high": high}
        for each in panel.spreads
        for x, mean, low, high in np.column_stack([each.x, each.line.get_ydata(), each.low, each.high]).astype(float).tolist()
    ]
    return pd.DataFrame(rows, columns=["panel", "line", "x", "mean", "low", "high"])


def of(figure: Figure) -> pd.DataFrame:
    """Give what a finished figure shows: one row a row of its table, or a point of a line."""
    import pandas as pd

    from pipeline_lib.figures.support.panel import Panel

    panels = [axes for axes in figure.axes if isinstance(axes, Panel)]
    tables = [panel.words for panel in panels if panel.words is not None]
    return pd.concat(tables or [_drawn(panel) for panel in panels], ignore_index=True)


def save(table: pd.DataFrame, path: Path, suffix: str, source: str) -> None:
    """Write a table for spreadsheets, pages or papers.

    Args:
        table: what to write.
        path: where to.
        suffix: one of `SUFFIXES`.
        source: what HTML and LaTeX say of where it comes from.
    """
    if suffix == "csv":
        text = table.to_csv(index=False, lineterminator="\n")
    elif suffix == "html":
        text = f"<!-- {source} -->\n{table.to_html(index=False, border=0, na_rep='', float_format='{:.4g}'.format)}\n"
    else:
        text = f"% {source}\n{table.to_latex(index=False, escape=True, na_rep='', float_format='%.4g')}"
    path.write_text(text, encoding="utf-8")
