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
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from pipeline_lib.core import allocator, locations, processors, terminal
from pipeline_lib.planning import declared, driver
from pipeline_lib.store import beside, job, progress
from pipeline_lib.store.beside import Beside

WHOLE = "make"  # the word that asks for all of a plan
STOPPED = 143  # what a shell reports of a process that SIGTERM ended
Ended = Callable[[Path, Exception | None], None]


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


def _make_nodes(stage: str, folders: Sequence[Path], plan: Path, shared: Beside | None, ended: Ended) -> None:
    """Make artifacts, and tell of each, as soon as it has ended, why it failed, or None."""
    if len(folders) > 1 and (shared or _side_by_side(stage)):
        with ExitStack() as stack:
            for folder in folders:
                stack.enter_context(progress.told(folder))
            driver.run_together(stage, folders, plan, ended)
        return
    for folder in job.in_turn(folders):
        try:
            with progress.told(folder):
                driver.run_node(stage, folder, plan)
        except driver.FAULTS as error:
            ended(folder, error)
        else:
            ended(folder, None)


def _make_all(plan: Path, until: str | None) -> None:
    """Make what is missing of a plan."""
    from pipeline_lib.planning.written import making  # no job needs it

    locations.keep_caches(plan.parent.parent)
    making.make(plan, until)


def _make(words: Sequence[str]) -> int:
    """Make what is asked for; a user's mistake ends one with one line, and all with exit code 1 once the others are tried."""
    args = _parser().parse_args(words)
    nodes = [] if args.command == WHOLE else args.folders
    shared = beside.found(nodes)
    (shared.show if shared else terminal.log_to_stderr)()
    processors.one_for_arithmetic()
    allocator.keep_freed_memory()
    failed = []

    def ended(folder: Path | None, error: Exception | None) -> None:
        if error is not None:
            if args.verbose:
                raise error
            failed.append(folder)
        if shared and folder:
            shared.end(folder, error)
        elif error is not None:
            terminal.tell_error(error)

    try:
        if args.command == WHOLE:
            _make_all(args.plan, args.until)
        else:
            locations.keep_caches(Path(*nodes[0].parts[:-3]))
            _make_nodes(args.command, nodes, args.plan, shared, ended)
    except driver.FAULTS as error:
        ended(None, error)
    except job.Preempted as stopped:
        logging.getLogger("pipeline_lib").info("%s", stopped)
        return STOPPED
    return 1 if failed else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Make artifacts if the words name a stage or say `make`, else run the command for people, which jobs do not load."""
    words = sys.argv[1:] if arguments is None else arguments
    if next((word for word in words if not word.startswith("-")), None) in (*declared.STAGES, WHOLE):
        return _make(words)
    from pipeline_lib import commands

    return commands.main(words, "python -m pipeline_lib")


if __name__ == "__main__":
    sys.exit(main())
