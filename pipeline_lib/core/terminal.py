"""What goes onto a screen: names and headers of others' files may hold characters that a terminal obeys."""

from __future__ import annotations

import io
import logging
import os
import sys
from contextlib import suppress
from typing import TextIO

OF_RUN = 3  # descriptor where a rule's shell line keeps the terminal of the run, beside the log that standard error goes to


def printable(text: str) -> str:
    """Write characters that do something instead of showing something as escapes, as `repr` does; lines stay lines.

    Letters of all scripts stay. Bytes of a file's name that are no text become escapes, too, so that printing cannot fail.
    """
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


def print_anything() -> None:
    """Let standard output write letters that its encoding lacks as escapes."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def tell(text: str, log: TextIO | None = None) -> None:
    """Say something where the user looks, or in a job's log; where the log's disk is full, on the terminal of the run."""
    text = printable(text)
    try:
        print(text, file=log or sys.stderr, flush=True)
    except OSError:
        with suppress(OSError):
            os.write(OF_RUN, f"{text}\n".encode())


def tell_error(error: Exception, log: TextIO | None = None) -> None:
    """Say in one line what went wrong; the system's own errors say which file, and no rule."""
    words = str(error)
    if isinstance(error, OSError) and error.filename is not None:
        rule = f"{error.filename} must be a file or folder that can be used so, got: {error.strerror}"
        words = f"{rule}; check its path, permissions and disk"
    tell(f"error: {' '.join(words.split())}", log)


class Formatter(logging.Formatter):
    """Formats log lines for a screen."""

    def format(self, record: logging.LogRecord) -> str:
        """Format one, its traceback included."""
        return printable(super().format(record))


def lines(log: TextIO | None = None) -> logging.Handler:
    """Make what shows log lines with their time, in a job's log or on standard error."""
    handler = logging.StreamHandler(log)
    handler.setFormatter(Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    return handler


def log_to_stderr() -> None:
    """Show log lines with their time, a command's whole life."""
    logging.basicConfig(level=logging.INFO, handlers=[lines()])
    logging.getLogger("fontTools").setLevel(logging.WARNING)  # tells of each table of each font that a PDF gets
