"""What a run says when it has ended."""

from __future__ import annotations

import math
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline_lib.claims.rules import VERDICTS
from pipeline_lib.tables import tabulation

if TYPE_CHECKING:
    import pandas as pd

MOST = 30  # claims of an experiment that are listed one by one


def _number(value: float) -> str:
    return "none" if math.isnan(value) else f"{value:.3g}"


def _line(claim: Any) -> str:
    interval = (
        f" ({_number(claim.low)} to {_number(claim.high)})" if math.isfinite(claim.low) or math.isfinite(claim.high) else ""
    )
    return f"  {claim.verdict:9} {claim.setting}: {claim.text} Measured {_number(claim.measured)}{interval} {claim.unit}"


def board(experiment: str, claims: pd.DataFrame) -> list[str]:
    """Count the verdicts of an experiment's claims, and list those that were judged if they are few.

    Args:
        experiment: its name.
        claims: its table of claims.
    """
    counts = claims["verdict"].value_counts()
    told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if verdict in counts)
    judged = claims[claims["verdict"].isin(VERDICTS[:3])]
    listed = [_line(claim) for claim in judged.itertuples()] if len(judged) <= MOST else []
    return [f"claims of {', '.join(claims['family'].unique())} in {experiment}: {told}", *listed]


def lines(results: Path, published: Iterable[str]) -> list[str]:
    """Say what was found, and where it is.

    Args:
        results: the results folder.
        published: files of tables and figures in it.
    """
    files = [results / name for name in published]
    found: list[str] = []
    for path in files:
        if path.name == "claims.parquet" and path.exists():
            with suppress(OSError, ValueError):  # a damaged table: what reads it says so
                found += board(path.parent.name, tabulation.read(path))
    figures = sorted({path.parent for path in files if path.suffix == ".svg" and path.exists()})
    return [*found, *(f"figures: {folder}, tables: {folder.parent}" for folder in figures)]
