"""`python -m pipeline_lib STAGE FOLDER … --plan FILE` makes artifacts, `make PLAN` all of a plan; other words are `rewind`'s."""

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
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from pipeline_lib.core import allocator, locations, processors, terminal
from pipeline_lib.planning import declared, driver
from pipeline_lib.store import job, progress

WHOLE = "make"  # the word that asks for all of a plan
STOPPED = 143  # what a shell reports of a process that SIGTERM ended


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipeline_lib", description="Make artifacts, or all of a plan.")
    parser.add_argument("--verbose", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(dest="command", required=True)
    for stage in declared.STAGES.values():
        command = commands.add_parser(stage.name, help=f"{stage.needs} -> {stage.makes}")
        told = "RESULTS/artifacts/STAGE/LABEL-KEY; several are made one after the other, or on a GPU train side by side"
        command.add_argument("folders", nargs="+", metavar="folder", type=Path, help=told)
        command.add_argument("--plan", type=Path, required=True, help="the plan file that they are part of")
    whole = commands.add_parser(WHOLE, help="what is missing of a plan, one artifact after the other, without Snakemake")
    whole.add_argument("plan", type=Path, help="RESULTS/plans/IDENTITY.jsonl, which rewind plan CONFIG --write writes")
    whole.add_argument("--until", metavar="STAGE", help="make artifacts of this stage and what they come from; publish nothing")
    return parser


def _side_by_side(stage: str) -> bool:
    """Tell whether several nodes of a stage share a GPU here; where a stage cannot, no library is loaded to find out."""
    if stage != "train":
        return False
    from pipeline_lib.store import device

    return device.has_gpu()


def _outcomes(stage: str, folders: Sequence[Path], plan: Path) -> Iterator[Exception | None]:
    """Make artifacts, and tell of each why it failed, or None."""
    if len(folders) > 1 and _side_by_side(stage):
        with ExitStack() as stack:
            for folder in folders:
                stack.enter_context(progress.told(folder))
            yield from driver.run_together(stage, folders, plan)
        return
    for folder in folders:
        try:
            with progress.told(folder):
                driver.run_node(stage, folder, plan)
        except driver.FAULTS as error:
            yield error
        else:
            yield None


def _faults(args: argparse.Namespace) -> Iterator[Exception]:
    """Make artifacts, or all of a plan, and tell what went wrong."""
    try:
        if args.command == WHOLE:
            from pipeline_lib.planning.written import making  # no job needs it

            locations.keep_caches(args.plan.parent.parent)
            making.make(args.plan, args.until)
        else:
            locations.keep_caches(Path(*args.folders[0].parts[:-3]))
            yield from filter(None, _outcomes(args.command, args.folders, args.plan))
    except driver.FAULTS as error:
        yield error


def _make(words: Sequence[str]) -> int:
    """Make what is asked for; a user's mistake ends one with one line, and all with exit code 1 once the others are tried."""
    args = _parser().parse_args(words)
    terminal.log_to_stderr()
    processors.one_for_arithmetic()
    allocator.keep_freed_memory()
    status = 0
    try:
        for error in _faults(args):
            if args.verbose:
                raise error
            status = 1
            terminal.tell(f"error: {' '.join(str(error).split())}")
    except job.Preempted as stopped:
        logging.getLogger("pipeline_lib").info("%s", stopped)
        return STOPPED
    return status


def main(arguments: Sequence[str] | None = None) -> int:
    """Make artifacts if the words name a stage or say `make`, else run the command for people, which jobs do not load."""
    words = sys.argv[1:] if arguments is None else arguments
    if next((word for word in words if not word.startswith("-")), None) in (*declared.STAGES, WHOLE):
        return _make(words)
    from pipeline_lib import commands

    return commands.main(words, "python -m pipeline_lib")


if __name__ == "__main__":
    sys.exit(main())
