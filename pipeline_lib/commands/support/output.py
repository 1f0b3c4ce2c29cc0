"""What goes onto the screen: text, tables, and JSON for scripts."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline_lib.core import terminal

_LEAST = 6  # characters of a terminal's width for each column of a table


def say(text: str) -> None:
    """Print what was asked for."""
    print(terminal.printable(text))


def agreed(what: str, question: str) -> bool:
    """Ask; where nobody can answer, nobody agrees.

    Raises:
        ValueError: nobody answers.
    """
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        raise ValueError(f"{what} must be agreed to, got no answer; add --yes") from None


def _plain(value: Any) -> Any:
    """Make JSON of what tables hold; a number that is none is null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(each) for each in value]
    if isinstance(value, (str, int, float)) or value is None:
        return value
    return _plain(value.item()) if hasattr(value, "item") else str(value)


def as_json(value: Any) -> None:
    """Print a value as JSON."""
    print(json.dumps(_plain(value), indent=1))


def is_none(value: Any) -> bool:
    """Tell whether a table has no value: null, or a number that is none."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def _cell(value: Any) -> str:
    if is_none(value):
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows that have the same columns: on a terminal a table that fits it, or where that is too narrow a value a line; else
    columns of text, a line a row.
    """
    if not rows:
        return
    names = list(rows[0])
    cells = [[terminal.printable(_cell(row[name])).replace("\n", " ") for name in names] for row in rows]
    if sys.stdout.isatty():
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        screen = Console()
        if screen.width < _LEAST * len(names):
            print("\n\n".join("\n".join(map(": ".join, zip(names, row, strict=True))) for row in cells))
            return
        drawn = Table(*names, box=box.SIMPLE_HEAD, pad_edge=False)
        for row in cells:
            drawn.add_row(*map(Text, row))
        screen.print(drawn)
        return
    widths = [max(len(row[i]) for row in [names, *cells]) for i in range(len(names))]
    for row in [names, *cells]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
