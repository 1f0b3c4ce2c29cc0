"""`python -m benchmarks.gpu pack|collect|first|second|unpack`: see `benchmarks/GPU.md`."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported

from pipeline_lib.core import terminal

WORK, PACKED = Path("/tmp/rewind"), Path(".gpu")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description="A quarter of an hour of a lent GPU.")
    words = parser.add_subparsers(dest="word", required=True)
    pack = words.add_parser("pack", help="at home: write what is to be carried there")
    pack.add_argument("--target", type=Path, default=PACKED, help="folder for the parts")
    pack.add_argument("--installed", type=Path, help="file with the names of the machine's packages, a line each")
    collect = words.add_parser("collect", help="there: add a part to those that came before")
    collect.add_argument("source", type=Path, nargs="?", default=PACKED, help="folder with the part and the index")
    for name, seconds in (("first", 280), ("second", 420)):
        command = words.add_parser(name, help=f"there: {'checks and speeds' if name == 'first' else 'results'}")
        command.add_argument("--seconds", type=float, default=seconds)
    phase = words.add_parser("phase", help="one phase")
    phase.add_argument("name")
    phase.add_argument("--left", type=float, default=300)
    unpack = words.add_parser("unpack", help="at home: put what came back into the results folder")
    unpack.add_argument("source", type=Path)
    unpack.add_argument("--results", type=Path, default=Path("results"))
    for command in (words.choices[name] for name in ("first", "second", "phase")):
        command.add_argument("--out", type=Path, required=True, help="folder for what comes back")
        command.add_argument("--device", default="cuda")
        command.add_argument("--tiny", action="store_true", help="for a rehearsal on a CPU")
    for command in (words.choices[name] for name in ("collect", "first", "second", "phase")):
        command.add_argument("--work", type=Path, default=WORK, help="folder outside the checkout, which stays with the machine")
    return parser


def _phase(args: argparse.Namespace) -> None:
    import torch

    from benchmarks.gpu.bench import Asked
    from benchmarks.gpu.rows import Rows

    module, _, function = args.name.partition(".")
    asked = Asked(torch.device(args.device), args.out, args.work, args.left, args.tiny)
    getattr(importlib.import_module(f"benchmarks.gpu.{module}"), function)(Rows(args.out, function), asked)


def _do(args: argparse.Namespace) -> None:
    from benchmarks.gpu import carrying, phases
    from benchmarks.gpu.rows import Rows

    if args.word == "pack":
        installed = args.installed.read_text(encoding="utf-8").split() if args.installed else []
        index = carrying.pack(args.target, carrying.CONFIGS, installed)
        print(f"{args.target}: {', '.join(index['parts'])}; wheels to bring: {args.target / carrying.WHEELS}")
    elif args.word == "collect":
        lacking = carrying.collect(args.work, args.source)
        print(f"still to come: {', '.join(lacking)}" if lacking else f"all is there: {args.work / 'results'}")
    elif args.word == "unpack":
        carrying.unpack(args.source, args.results)
    else:
        words = ["--out", str(args.out), "--work", str(args.work), "--device", args.device, *(["--tiny"] if args.tiny else [])]
        asked = phases.FIRST if args.word == "first" else phases.SECOND
        phases.run(asked, args.seconds, partial(phases.command, words), Rows(args.out, "driver"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the words say; a user's mistake ends with one line and exit code 1."""
    args = _parser().parse_args(arguments)
    terminal.log_to_stderr()
    try:
        (_phase if args.word == "phase" else _do)(args)
    except (ValueError, OSError) as error:
        terminal.tell(f"error: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
