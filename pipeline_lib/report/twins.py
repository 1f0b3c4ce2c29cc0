"""The numbers of a main figure once more, as a chart that tells values on hover: means over its rows.

What is drawn here is JSON for plotly, which the page embeds where it is installed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline_lib.experiments.figure_needs import FIGURES
from pipeline_lib.figures.support import samples
from pipeline_lib.report import drawn
from pipeline_lib.report.contents import Contents
from pipeline_lib.tables import tabulation

if TYPE_CHECKING:
    import pandas as pd

_MOST_LINES, _MOST_BARS = 24, 12  # of a chart, and of a line: more of either hide each other
_DASHES = ("solid", "dash", "dot", "dashdot")
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


@dataclass(frozen=True)
class _Kind:
    """What a chart of a table shows.

    Args:
        table: that it is of.
        x, y: columns; y is a share, shown in percent.
        by: what tells lines apart.
        only: values of columns whose rows are shown.
        x_axis, y_axis: as plotly takes them.
        x_scale: to what is shown.
    """

    table: str
    x: str
    y: str
    by: tuple[str, ...]
    only: dict[str, str]
    x_axis: dict[str, Any]
    y_axis: str
    x_scale: float = 1.0


_KINDS = (
    _Kind(
        "interpolation", "alpha", "error", ("task", "kind", "level", "k"), {"batchnorm": "averaged", "split": "test"},
        {"title": "alpha: from run 2 to run 1"}, "test error (%)",
    ),
    _Kind(
        "instability", "k", "instability", ("task", "kind", "level"), {"batchnorm": "averaged", "split": "test"},
        {"title": "rewind step k", "type": "category"}, "instability (points)",
    ),
    _Kind(
        "runs", "density", "test_error", ("task", "kind", "k", "change"), {},
        {"title": "weights remaining (%)", "type": "log", "autorange": "reversed"}, "test error (%)", 100.0,
    ),
)  # fmt: skip


def _lines(frame: pd.DataFrame, kind: _Kind) -> Iterator[tuple[str, pd.DataFrame]]:
    """Group rows to lines, each with its name: what it has that not all have."""
    by = [name for name in kind.by if name in frame and frame[name].nunique() > 1]
    for values, own in frame.groupby(by, sort=False) if by else [((), frame)]:
        words = [f"{name} {value}" if name in ("k", "level") else str(value) for name, value in zip(by, values, strict=True)]
        yield ", ".join(word for word in words if word) or kind.y.replace("_", " "), own


def _line(name: str, own: pd.DataFrame, kind: _Kind, place: int) -> dict[str, Any]:
    """Draw a line through means, with bars of one standard deviation, as the figure has them; both are told on hover, too."""
    # Densities of one level differ between seeds in their last digits.
    at = own["level"] if kind.x == "density" and "level" in own else own[kind.x]
    own = own.assign(at=at)
    means, _ = samples.summary(own, "at", kind.y)
    places = own.groupby("at").agg(x=(kind.x, "mean"), n=(kind.y, "count"))
    found = means.join(places)[means["mean"].notna()]
    is_word = kind.x_axis.get("type") == "category"
    x = [f"{value:g}" for value in found["x"]] if is_word else (kind.x_scale * found["x"]).tolist()
    deviations = (100 * found["sd"].fillna(0)).round(6).tolist()
    told = [f"± {sd:.3g} sd, n = {n}" if n > 1 else "n = 1" for sd, n in zip(deviations, found["n"], strict=True)]
    return {
        "type": "scatter", "mode": "lines+markers", "name": name,
        "x": x, "y": (100 * found["mean"]).round(6).tolist(), "text": told,
        "error_y": {"type": "data", "array": deviations, "thickness": 1, "width": 2, "visible": len(x) <= _MOST_BARS},
        "line": {"color": _COLOURS[place % len(_COLOURS)], "dash": _DASHES[place // len(_COLOURS) % len(_DASHES)]},
        "hovertemplate": f"%{{x{'' if is_word else ':.4~g'}}}: %{{y:.4~g}} %{{text}}<extra>%{{fullData.name}}</extra>",
    }  # fmt: skip


def chart(frame: pd.DataFrame, kind: _Kind) -> dict[str, Any] | None:
    """Draw a chart of rows; None where there are none, or too many lines to tell apart."""
    for name, value in kind.only.items():
        frame = frame[frame[name] == value]
    lines = list(_lines(frame, kind)) if len(frame) else []
    if not 0 < len(lines) <= _MOST_LINES:
        return None
    layout = {
        "xaxis": {**kind.x_axis, "title": {"text": kind.x_axis["title"]}}, "yaxis": {"title": {"text": kind.y_axis}},
        "hovermode": "closest", "showlegend": True, "legend": {"orientation": "h", "y": -0.25}, "height": 400 + 20 * len(lines),
        "margin": {"l": 55, "r": 15, "t": 15, "b": 50},
    }  # fmt: skip
    return {"data": [_line(name, own, kind, i) for i, (name, own) in enumerate(lines)], "layout": layout}


def of(contents: Contents, figure: str) -> dict[str, Any] | None:
    """Draw the chart of a main figure, one of whose tables has lines; None for others.

    Args:
        contents: what the report is about.
        figure: its name.
    """
    first = FIGURES[figure].tables[0]
    for kind in _KINDS:
        if kind.table == first and kind.table in contents.tables:
            frame = tabulation.as_trained(contents.tables[kind.table])
            return chart(frame[drawn.rows(frame, figure, contents.experiment)], kind)
    return None
