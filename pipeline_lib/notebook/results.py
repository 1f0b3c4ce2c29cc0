"""What the workflow has made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline_lib.tables import tabulation

if TYPE_CHECKING:
    import pandas as pd


def read_tables(folder: str | Path) -> dict[str, pd.DataFrame]:
    """Read the tables of an experiment; docs/tables.md says what their columns mean.

    Args:
        folder: such as `results/quickstart`.

    Returns:
        A table by name, such as `runs` or `instability`.

    Raises:
        ValueError: there is none, or one is damaged.

    Example:
        >>> read_tables("nowhere")
        Traceback (most recent call last):
        ValueError: folder must have tables, got none in nowhere; name the one of an experiment that was run
    """
    found = {path.stem: tabulation.read(path) for path in sorted(Path(folder).glob("*.parquet"))}
    if not found:
        raise ValueError(f"folder must have tables, got none in {folder}; name the one of an experiment that was run")
    return found
