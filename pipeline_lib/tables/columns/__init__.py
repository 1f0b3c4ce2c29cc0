"""The columns of every table: types, units and meanings."""

from __future__ import annotations

from pipeline_lib.tables.columns import early, landscape, stability
from pipeline_lib.tables.columns.common import FOLLOWED, MATCHING_WITHIN, STABLE_BELOW, Column
from pipeline_lib.tables.columns.origin import key_columns

__all__ = ["COLUMNS", "FOLLOWED", "MATCHING_WITHIN", "STABLE_BELOW", "Column"]

_CLAIMS: dict[str, tuple[Column, ...]] = {
    "claims": (
        Column("claim", "string", "-", "identifier of the claim, see config/claims"),
        Column("setting", "string", "-", "task that it is judged on"),
        Column("text", "string", "-", "the claim in words"),
        Column("source", "string", "-", "where the paper makes it"),
        Column("unit", "string", "-", "unit of the values"),
        Column("measured", "double", "unit", "measured value; infinity for an onset beyond the grid, null if not measured"),
        Column("spread", "double", "unit", "standard deviation of the measured value over replicates"),
        Column("num", "int64", "1", "replicates"),
        Column("paper_value", "double", "unit", "the paper's value; null where it gives none"),
        Column("paper_spread", "double", "unit", "the paper's standard deviation"),
        Column("rule", "string", "-", "what the measured value must obey"),
        Column("verdict", "string", "-", "holds, fails, or not measured"),
    ),
}  # fmt: skip

_MEASURED = stability.COLUMNS | early.COLUMNS | landscape.COLUMNS | _CLAIMS

COLUMNS = {table: (*columns, *key_columns(table)) for table, columns in _MEASURED.items()}
