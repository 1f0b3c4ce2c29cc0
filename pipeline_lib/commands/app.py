"""All commands together, and how they end."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated

import typer

from pipeline_lib.commands import checking, keeping, listing, plans, reporting, running, watching
from pipeline_lib.commands.support import output
from pipeline_lib.core import allocator, processors, terminal

app = typer.Typer(name="rewind", pretty_exceptions_enable=False, rich_markup_mode="rich")
for group in (running, watching, reporting, plans, listing, keeping, checking):
    app.add_typer(group.app)


def _tell_version(asked: bool) -> bool:
    if asked:
        output.say(version("rewind-pipeline"))
        raise typer.Exit
    return asked


@app.callback()
def _rewind(
    verbose: Annotated[bool, typer.Option("--verbose", help="show the traceback of an error")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="say which version")] = False,
) -> None:
    """Study how networks train early on, which sparse subnetworks can train, and which minima are linearly connected.

    For example: rewind quickstart
    """


def run(words: Sequence[str], name: str) -> int:
    """Run the command that words ask for, and return its exit code."""
    terminal.log_to_stderr()
    terminal.print_anything()
    processors.one_for_arithmetic()
    allocator.keep_freed_memory()
    try:
        ended = app(list(words) or ["--help"], prog_name=name, standalone_mode=False)
        sys.stdout.flush()
        return ended if words and isinstance(ended, int) else 0 if words else 2
    except BrokenPipeError:  # who reads, such as head, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that the interpreter's last flush is quiet, too
        return 1
    except typer.TyperException as error:  # wrong words
        terminal.tell(f"error: {error.format_message()}; see {name} --help")
        return error.exit_code
    except (ValueError, OSError, SyntaxError, ImportError) as error:
        if "--verbose" in words:
            raise
        terminal.tell_error(error)
        return 1
