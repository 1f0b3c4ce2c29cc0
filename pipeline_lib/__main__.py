"""`python -m pipeline_lib STAGE FOLDER --plan FILE` makes one artifact, `make PLAN` all of a plan; other words are `rewind`'s."""

from __future__ import annotations

import sys

from pipeline_lib.worker import client

if __name__ == "__main__" and (status := client.done_by_worker(sys.argv[1:])) is not None:
    sys.exit(status)  # before anything else is imported

from pipeline_lib.core import sources

if __name__ == "__main__":
    sources.freeze()  # before more of the package is imported

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from pipeline_lib.core import allocator, locations, processors, terminal
from pipeline_lib.planning import declared, driver
from pipeline_lib.store import job, progress

WHOLE = "make"  # the word that asks for all of a plan
STOPPED = 143  # what a shell reports of a process that SIGTERM ended


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipeline_lib", description="Make one artifact, or all of a plan.")
    parser.add_argument("--verbose", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(dest="command", required=True)
    for stage in declared.STAGES.values():
        command = commands.add_parser(stage.name, help=f"{stage.needs} -> {stage.makes}")
        command.add_argument("folder", type=Path, help="RESULTS/artifacts/STAGE/LABEL-KEY")
        command.add_argument("--plan", type=Path, required=True, help="the plan file that the artifact is part of")
    whole = commands.add_parser(WHOLE, help="what is missing of a plan, one artifact after the other, without Snakemake")
    whole.add_argument("plan", type=Path, help="RESULTS/plans/IDENTITY.jsonl, which rewind plan CONFIG --write writes")
    whole.add_argument("--until", metavar="STAGE", help="make artifacts of this stage and what they come from; publish nothing")
    return parser


def _ask(args: argparse.Namespace) -> None:
    """Make one artifact, or all of a plan."""
    if args.command == WHOLE:
        from pipeline_lib.planning.written import making  # no job needs it

        locations.keep_caches(args.plan.parent.parent)
        making.make(args.plan, args.until)
        return
    locations.keep_caches(Path(*args.folder.parts[:-3]))
    with progress.told(args.folder):
        driver.run_node(args.command, args.folder, args.plan)


def _make(words: Sequence[str]) -> int:
    """Make what is asked for; a user's mistake ends with one line and exit code 1."""
    args = _parser().parse_args(words)
    terminal.log_to_stderr()
    processors.one_for_arithmetic()
    allocator.keep_freed_memory()
    try:
        _ask(args)
    except (ValueError, OSError, SyntaxError, ImportError) as error:
        if args.verbose:
            raise
        terminal.tell(f"error: {' '.join(str(error).split())}")
        return 1
    except job.Preempted as stopped:
        logging.getLogger("pipeline_lib").info("%s", stopped)
        return STOPPED
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Make artifacts if the words name a stage or say `make`, else run the command for people, which jobs do not load."""
    words = sys.argv[1:] if arguments is None else arguments
    if next((word for word in words if not word.startswith("-")), None) in (*declared.STAGES, WHOLE):
        return _make(words)
    from pipeline_lib import commands

    return commands.main(words, "python -m pipeline_lib")


if __name__ == "__main__":
    sys.exit(main())
