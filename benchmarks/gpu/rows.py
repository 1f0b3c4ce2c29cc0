"""What is found, a line each, on disk before the next is begun."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAME = "rows.jsonl"


class Rows:
    """Appends a line a finding: a killed process loses nothing that was found.

    Args:
        folder: where to.
        phase: what finds it.
    """

    def __init__(self, folder: Path, phase: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path, self._phase = folder / NAME, phase

    def __call__(self, **found: Any) -> None:
        """Write a line, and print it."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"phase": self._phase, "time": round(time.time(), 1), **found}) + "\n")
            file.flush()
            os.fsync(file.fileno())
        print(self._phase, *(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in found.items()), flush=True)

    @contextmanager
    def trying(self, **what: Any) -> Iterator[None]:
        """Write down what goes wrong in a block, and go on after it."""
        try:
            yield
        except Exception as error:
            self(**what, error=f"{type(error).__name__}: {error}"[:300])


def read(folder: Path) -> list[dict[str, Any]]:
    """Read all lines of a folder; the last one of a killed process may be torn."""
    lines = (folder / NAME).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line.endswith("}")]
