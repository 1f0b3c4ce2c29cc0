"""Where in a plan file each node is: a small file beside it, so that who asks for a node reads that line and no other.

A line of the index has a key, and the place and length of its node in bytes, in equal widths and sorted by key: looking one up
parses nothing.
"""

from __future__ import annotations

import os
import weakref
from bisect import bisect_left
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

_KEY, _NUMBER = 12, 12  # letters
_ENTRY = _KEY + 2 * (1 + _NUMBER) + 1


def beside(path: Path) -> Path:
    """Name a plan file's index."""
    return path.with_suffix(".index")


def of(header: str, lines: Iterable[str]) -> str:
    """Write the index of a plan file of these lines, each with a line break after it."""
    found, place = list[str](), len(header.encode()) + 1
    for line in lines:
        size = len(line.encode())
        found.append(f"{line[9 : 9 + _KEY]} {place:0{_NUMBER}} {size:0{_NUMBER}}\n")
        place += size + 1
    return "".join(sorted(found))


class Lines:
    """The lines of a plan file, by key.

    Args:
        path: the plan file. One without an index, or with that of other lines, is searched from its begin.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._index = beside(path).read_bytes()
        except OSError:
            self._index = b""

    @cached_property
    def _file(self) -> int:
        """The plan file, opened once: a run asks for all of its lines."""
        number = os.open(self._path, os.O_RDONLY)
        weakref.finalize(self, os.close, number)
        return number

    def find(self, key: str) -> str | None:
        """Read the line of a key; None if there is none.

        Raises:
            OSError, ValueError: the file cannot be read.
        """
        begin = f'{{"key": "{key}"'.encode()
        place, size = self._place(key.encode())
        line = os.pread(self._file, size + 1, place)
        if not line.startswith(begin) or line.find(b"\n") != size:
            with self._path.open("rb") as file:
                line = next((line for line in file if line.startswith(begin)), b"")
        return line.decode().removesuffix("\n") or None

    def _place(self, key: bytes) -> tuple[int, int]:
        i = bisect_left(range(len(self._index) // _ENTRY), key, key=self._key)
        if len(key) != _KEY or self._key(i) != key:
            return 0, 0
        place, size = self._index[i * _ENTRY + _KEY : (i + 1) * _ENTRY].split()
        return int(place), int(size)

    def _key(self, i: int) -> bytes:
        return self._index[i * _ENTRY : i * _ENTRY + _KEY]
