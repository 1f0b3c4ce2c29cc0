"""When a job says how far it is, and how fast it goes; no result depends on it."""

from __future__ import annotations

import time

SECONDS = 5.0  # between two lines


class Pace:
    """Tells every few seconds that a line is due.

    Args:
        total: steps of the work.
        done: those that were done before.
    """

    def __init__(self, total: int, done: int = 0) -> None:
        self.done = self._first = done
        self.total, self._begun = total, time.monotonic()
        self._told = self._begun

    def due(self, done: int) -> bool:
        """Take down how far the work is, and tell whether to say so."""
        if time.monotonic() - self._told < SECONDS:
            return False
        self._told, self.done = time.monotonic(), done
        return True

    @property
    def speed(self) -> float:
        """Steps a second, when the last line was due."""
        return (self.done - self._first) / max(self._told - self._begun, 1e-9)

    @property
    def left(self) -> float:
        """Seconds that the rest will take."""
        return (self.total - self.done) / max(self.speed, 1e-9)
