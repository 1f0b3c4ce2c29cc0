"""Readable names of nodes, which are part of their folders'."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache


def label(*parts: object) -> str:
    """Join the parts of a readable name."""
    return "-".join(str(part) for part in parts if part != "")


def span(prefix: str, values: Sequence[int]) -> str:
    """Word a range of replicates for a name."""
    return prefix + (f"{values[0]}" if len(values) == 1 else f"{values[0]}to{values[-1]}")


@cache
def words(text: str) -> str:
    """Shorten a start to what a folder's name may hold."""
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in text.replace(" ", "")).strip("_")[:60]
