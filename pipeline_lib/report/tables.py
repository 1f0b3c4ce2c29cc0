"""The tables of a report: their first rows, to be sorted and filtered, and what all rows have in common."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline_lib.experiments.figure_needs import FIGURES
from pipeline_lib.planning.declared import COLUMNS
from pipeline_lib.report import drawn
from pipeline_lib.report.contents import Contents, anchor

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 500


@dataclass(frozen=True)
class Heading:
    """A column: its name, unit (empty for counts, shares and words) and meaning, and whether it has numbers."""

    name: str
    unit: str
    meaning: str
    is_number: bool


@dataclass(frozen=True)
class Row:
    """A row: cells as text, and places in the table's list of figures that show its network."""

    cells: tuple[str, ...]
    figures: str


@dataclass(frozen=True)
class Shown:
    """A table.

    Args:
        name: its name.
        total: rows that it has.
        headings: columns whose values differ.
        rows: the first ones.
        same: what all rows have in common, by column.
        figures: those that are drawn from a part of its rows.
    """

    name: str
    total: int
    headings: tuple[Heading, ...]
    rows: tuple[Row, ...]
    same: dict[str, str]
    figures: tuple[str, ...]

    @property
    def anchor(self) -> str:
        """Its id in the page."""
        return anchor("table", self.name)


def text_of(value: Any) -> str:
    """Write a value: numbers to five digits, nothing for what has none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() and abs(value) < 1e12 else f"{value:.5g}"
    return str(value)


def _constant(column: pd.Series) -> bool:
    return len(column) > 1 and column.nunique(dropna=False) == 1


def _headings(name: str, frame: pd.DataFrame) -> tuple[Heading, ...]:
    known = {column.name: column for column in COLUMNS.get(name, ())}
    found = []
    for label in frame:
        said = known.get(str(label))
        unit = said.unit if said and said.unit not in ("-", "1", "unit") else ""
        is_number = frame[label].dtype.kind in "iuf"
        found.append(Heading(str(label), unit, said.meaning if said else "", is_number))
    return tuple(found)


def _marks(frame: pd.DataFrame, name: str, contents: Contents, figures: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """Find the figures that are drawn from a part of a table's rows, and tell of each row which of these show it."""
    related = [figure for figure in figures if name in FIGURES[figure].tables]
    found = {figure: drawn.rows(frame, figure, contents.experiment) for figure in related}
    parts = [figure for figure in related if not found[figure].all()]
    columns = [found[figure].tolist() for figure in parts]
    return tuple(parts), [" ".join(str(i) for i, column in enumerate(columns) if column[row]) for row in range(len(frame))]


def show(contents: Contents, name: str, figures: Sequence[str]) -> Shown:
    """Show a table that is there.

    Args:
        contents: what the report is about.
        name: of the table.
        figures: those that the report shows.
    """
    frame = contents.tables[name]
    same = {str(label): text_of(frame[label].head(1).tolist()[0]) for label in frame if _constant(frame[label])}
    varied = frame.drop(columns=list(same))
    parts, marks = _marks(frame, name, contents, figures)
    cells = zip(*(varied[label].head(MOST_ROWS).tolist() for label in varied), strict=True)
    rows = [Row(tuple(map(text_of, each)), mark) for each, mark in zip(cells, marks, strict=False)]
    return Shown(name, len(frame), _headings(name, varied), tuple(rows), {k: v for k, v in same.items() if v}, parts)
