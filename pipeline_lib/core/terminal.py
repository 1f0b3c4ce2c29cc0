"""What goes onto a screen: names and headers of others' files may hold characters that a terminal obeys."""

from __future__ import annotations

import logging


def printable(text: str) -> str:
    """Write characters that do something instead of showing something as escapes, as `repr` does; lines stay lines.

    Letters of all scripts stay. Bytes of a file's name that are no text become escapes, too, so that printing cannot fail.
    """
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


class Formatter(logging.Formatter):
    """Formats log lines for a screen."""

    def format(self, record: logging.LogRecord) -> str:
        """Format one, its traceback included."""
        return printable(super().format(record))
