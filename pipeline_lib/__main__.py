"""Command line: `python -m pipeline_lib STAGE FOLDER --plan FILE`, and commands about plans."""

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
import os
import shlex
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline_lib.core import allocator, locations, processors, terminal
from pipeline_lib.planning import declared, driver, nodes
from pipeline_lib.store import job

STOPPED = 143  # what a shell reports of a process that SIGTERM ended
TERMINAL = 3  # where a rule's shell line keeps the terminal of the run, beside the log that standard error goes to


def _override(text: str) -> dict[str, Any]:
    from pipeline_lib.experiments.validation import parse_yaml

    key, separator, value = text.partition("=")
    if not separator:
        raise ValueError(f"--config must be KEY=VALUE, got {text!r}; write the value as YAML")
    return {key: parse_yaml(value, f"--config {key}")}


def _overrides(args: argparse.Namespace) -> dict[str, Any]:
    from pipeline_lib.experiments.config import merge

    overrides: dict[str, Any] = {}
    for text in args.config:
        overrides = merge(overrides, _override(text))
    return overrides


def _load(args: argparse.Namespace) -> nodes.Plan:
    return driver.load(args.files, _overrides(args))


def _stage(args: argparse.Namespace) -> None:
    locations.keep_caches(Path(*args.folder.parts[:-3]))
    driver.run_node(args.command, args.folder, args.plan)


def _plan(args: argparse.Namespace) -> None:
    from pipeline_lib.planning import estimate

    def calibrate(task: Any, data_root: Path | None) -> tuple[float, float]:
        from pipeline_lib.stages.support.calibrate import calibrate

        return calibrate(task, data_root)

    made = _load(args)
    _say(estimate.report(made, calibrate if args.calibrate else None))
    if args.write:
        _say(str(driver.write_plan(made, args.files)))


def _agreed(what: str, question: str) -> bool:
    """Ask; where nobody can answer, nobody agrees."""
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        raise ValueError(f"{what} must be agreed to, got no answer; add --yes") from None


def _gc(args: argparse.Namespace) -> None:
    from pipeline_lib.planning import garbage
    from pipeline_lib.store import lease

    made = _load(args)
    results = made.config.results
    found = None if args.undo else garbage.find(made, only=args.only)
    if found:
        _say(found.report())
    if args.undo or (found and found.folders and args.remove):
        question = f"Move them to {results / garbage.TRASH}, and remove for good what is there now?"
        with lease.held(results):
            if found is None:
                _say(garbage.restore(results))
            elif args.yes or _agreed("removal", question):
                _say(garbage.discard(found))


def _adopt(args: argparse.Namespace) -> None:
    from pipeline_lib.planning import adopted, adoption
    from pipeline_lib.store import lease

    made = _load(args)
    results = made.config.results
    if args.undo:
        with lease.held(results):
            _say(adopted.forget(results))
        return
    words = [*map(str, args.files), *(word for override in args.config for word in ("--config", override))]
    shelf = adoption.Shelf(results)
    every = adoption.follow(made, shelf)
    _say(adoption.report(made, shelf, every, f"python -m pipeline_lib adopt {shlex.join(words)}"))
    adoption.check_stages(every, args.keep)
    if args.keep:
        found = adoption.follow(made, shelf, adoption.chosen(made, every, args.keep))
        _say(adoption.outcome(found))
        with lease.held(results):
            if args.yes or _agreed("keeping", "Let these count as made by the code of today?"):
                adoption.keep(made, found)
                _say(f"recorded in {results / adopted.FILE}; --undo forgets it")


def _explain(args: argparse.Namespace) -> None:
    from pipeline_lib.planning import explanation

    configs = [word for word in args.words if Path(word).suffix in (".yaml", ".yml")]
    words = [word for word in args.words if word not in configs]
    made = driver.load(list(map(Path, configs)), _overrides(args)) if configs else None
    _say(explanation.report(made.config.results if made else args.results, made, words))


def _refine(args: argparse.Namespace) -> None:
    import yaml

    from pipeline_lib.experiments import config_files

    raw = config_files.merged(args.files, _overrides(args))
    _say(yaml.safe_dump(driver.refined(_load(args), raw, args.level, args.until), sort_keys=False).rstrip())


def _tasks(args: argparse.Namespace) -> None:
    from pipeline_lib.planning import task_list

    _say(task_list.report())


def _schema(args: argparse.Namespace) -> None:
    from pipeline_lib.experiments.settings import schema

    _say(schema.text().rstrip())


def _settings(args: argparse.Namespace) -> None:
    from pipeline_lib.experiments.settings import document

    _say(document.document().rstrip())


def _verify(args: argparse.Namespace) -> None:
    from pipeline_lib.planning import adopted
    from pipeline_lib.store import verification

    if not args.results.is_dir():
        raise ValueError(f"results folder must exist, got {args.results}; name the one that is set in the config")
    number, faults = verification.verify(args.results)
    going = [
        f"{folder}: still being made or interrupted; a run makes it again" for folder in verification.unfinished(args.results)
    ]
    _say("\n".join([*adopted.report(args.results), *faults, *going, f"{number} artifacts checked"]))
    if faults:
        many = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise ValueError(f"artifacts must be what their jobs wrote, got {many} in {number}; remove these folders and run again")


def _plan_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--write", action="store_true", help="write the plan file")
    command.add_argument("--calibrate", action="store_true", help="train a few steps where no earlier job tells a task's speed")


def _gc_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--remove", action="store_true", help="move them to the trash in the results folder, when agreed to")
    command.add_argument("--yes", action="store_true", help="agree to it beforehand")
    command.add_argument("--only", action="store_true", help="keep nothing for other plans of the results folder")
    command.add_argument("--undo", action="store_true", help="bring back what was moved to the trash last")


def _adopt_options(command: argparse.ArgumentParser) -> None:
    text = "let this stage's count as made by the code of today, with what they were made from, when agreed to; may be repeated"
    command.add_argument("--keep", action="append", default=[], metavar="STAGE", help=text)
    command.add_argument("--yes", action="store_true", help="agree to it beforehand")
    command.add_argument("--undo", action="store_true", help="forget all that counts so in the results folder")


def _refine_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--until", type=float, default=0.1, help="relative width of the onset at which to stop")
    command.add_argument("--level", type=int, default=0, help="pruning level whose onset is sought; 0 is dense")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipeline_lib", description="Make one artifact, or ask about a plan.")
    parser.add_argument("--verbose", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(dest="command", required=True)
    for stage in declared.STAGES.values():
        command = commands.add_parser(stage.name, help=f"{stage.needs} -> {stage.makes}")
        command.add_argument("folder", type=Path, help="RESULTS/artifacts/STAGE/LABEL-KEY")
        command.add_argument("--plan", type=Path, required=True, help="the plan file that the artifact is part of")
        command.set_defaults(run=_stage)
    commands.add_parser("tasks", help="list the tasks of config/tasks").set_defaults(run=_tasks)
    commands.add_parser("settings", help="print all config keys, as docs/config.md has them").set_defaults(run=_settings)
    commands.add_parser("schema", help="print the JSON schema of configs").set_defaults(run=_schema)
    command = commands.add_parser("verify", help="check that artifacts are what was written")
    command.add_argument("results", type=Path, nargs="?", default=Path("results"), help="the results folder")
    command.set_defaults(run=_verify)
    command = commands.add_parser(
        "explain", help="say what a config, figure or table needs, what an artifact is, or why two differ"
    )
    command.add_argument("words", nargs="+", metavar="CONFIG|FIGURE|TABLE|KEY")
    command.add_argument("--config", action="append", default=[], metavar="KEY=VALUE", help="override, as YAML")
    command.add_argument("--results", type=Path, default=Path("results"), help="the results folder, without a config")
    command.set_defaults(run=_explain)
    asks = (
        ("plan", _plan, _plan_options, "print what a config asks for"),
        ("gc", _gc, _gc_options, "list artifacts that no config needs"),
        ("adopt", _adopt, _adopt_options, "list artifacts that differ by code alone, and keep them"),
        (
            "refine",
            _refine,
            _refine_options,
            "print the config of a further round of rewind steps, around the onset",
        ),
    )
    for name, run, options, text in asks:
        command = commands.add_parser(name, help=text)
        command.add_argument("files", type=Path, nargs="+", metavar="CONFIG")
        command.add_argument("--config", action="append", default=[], metavar="KEY=VALUE", help="override, as YAML")
        command.set_defaults(run=run)
        options(command)
    return parser


def _say(text: str) -> None:
    """Print what was asked for."""
    print(terminal.printable(text))


def _tell(text: str) -> None:
    """Say something where the user looks; where the log's disk is full, on the terminal of the run."""
    text = terminal.printable(text)
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        with suppress(OSError):
            os.write(TERMINAL, f"{text}\n".encode())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; a user's mistake ends with one line and exit code 1."""
    args = _parser().parse_args(arguments)
    lines = logging.StreamHandler()
    lines.setFormatter(terminal.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    logging.basicConfig(level=logging.INFO, handlers=[lines])
    processors.one_for_arithmetic()
    allocator.keep_freed_memory()
    try:
        args.run(args)
    except (ValueError, OSError, SyntaxError, ImportError) as error:
        if args.verbose:
            raise
        _tell(f"error: {' '.join(str(error).split())}")
        return 1
    except job.Preempted as stopped:
        logging.getLogger("pipeline_lib").info("%s", stopped)
        return STOPPED
    return 0


if __name__ == "__main__":
    sys.exit(main())
