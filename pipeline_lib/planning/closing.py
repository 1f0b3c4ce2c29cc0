"""What a run says when it has ended: main numbers, how claims are judged, and where things are."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline_lib.claims.rules import VERDICTS
from pipeline_lib.tables import tabulation

if TYPE_CHECKING:
    import pandas as pd

_TABLES = ("runs", "instability", "onsets")


def board(experiment: str, claims: pd.DataFrame) -> str:
    """Count the verdicts of an experiment's claims.

    Args:
        experiment: its name.
        claims: its table of claims.
    """
    counts = claims["verdict"].value_counts()
    told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if verdict in counts)
    return f"claims of {', '.join(claims['family'].unique())} in {experiment}: {told}"


def _read(folder: Path, names: Iterable[str]) -> dict[str, pd.DataFrame]:
    """Read the tables that there are; of a damaged one, what reads it says so."""
    found = {}
    for name in names:
        with suppress(OSError, ValueError):
            found[name] = tabulation.read(folder / f"{name}.parquet")
    return found


def lines(results: Path, published: Iterable[str]) -> list[str]:
    """Say what was found, and where it is.

    Args:
        results: the results folder.
        published: files of tables and figures in it.
    """
    from pipeline_lib.planning import numbers  # scipy is slow to load, and this comes last

    files = [path for path in (results / name for name in published) if path.exists()]
    there = {(path.parent, path.stem) for path in files if path.suffix == ".parquet"}
    found: list[str] = []
    for folder in sorted({folder for folder, _ in there}):
        tables = _read(folder, [name for name in _TABLES if (folder, name) in there])
        claims = _read(folder, ["claims"] if (folder, "claims") in there else [])
        found += [*numbers.lines(tables), *(board(folder.name, table) for table in claims.values())]
    drawn = sorted({path.parent for path in files if path.suffix == ".svg"})
    return [*found, *(f"figures: {folder}, tables: {folder.parent}" for folder in drawn)]
