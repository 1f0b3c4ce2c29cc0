"""The command `rewind`, for people: one file for commands that belong together. No job imports any of it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pipeline_lib.core import sources


def main(arguments: Sequence[str] | None = None, name: str = "rewind") -> int:
    """Run a command.

    Args:
        arguments: words of the command line; without them, those of this process.
        name: what the command was called by, for its help.

    Returns:
        The exit code: 0, 1 after a user's mistake, which ends with one line, 2 if the words are wrong.
    """
    if arguments is None:
        sources.freeze()  # before more of the package is imported
    from pipeline_lib.commands import app

    return app.run(sys.argv[1:] if arguments is None else arguments, name)
