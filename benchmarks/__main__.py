"""Run benchmarks: `python -m benchmarks [--full] [--results FILE] [NAME ...]`."""

from __future__ import annotations

import argparse
import csv
import datetime
import importlib
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported

from benchmarks.machine import cpu_model
from benchmarks.measure import Line

# Each is a module's function.
BENCHMARKS = {
    "lenet_train": "lenet_train.run",
    "interpolate": "interpolate.run",
    "resnet20_train_fp32": "resnet20_train.fp32",
    "resnet20_train_bf16": "resnet20_train.bf16",
    "evaluate_paths": "evaluate_paths.run",
    "planes": "planes.run",
    "telemetry_share": "telemetry_share.run",
    "single_h200": "h200.single",
    "cohort9_h200": "h200.cohort9",
    "quickstart": "quickstart.run",
    "plan_20k": "plan_20k.run",
    "plan_66k": "plan_66k.run",
}
HERE = Path(__file__).parent
RESULTS = HERE / "results.csv"


def _commit() -> str:
    """Name the commit, with a `+` where tracked files differ from it."""
    git = ["git", "-C", str(HERE), "describe", "--always", "--abbrev=10", "--exclude=*", "--dirty=+"]
    found = subprocess.run(git, capture_output=True, text=True, check=False)
    return found.stdout.strip() if found.returncode == 0 else "unknown"


def _version(package: str) -> str:
    """Read a package's version; a bare machine has no Snakemake."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _circumstances(full: bool) -> dict[str, str]:
    """Describe when, on what and with what a run was made."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    versions = {"python": platform.python_version(), **{name: _version(name) for name in ("torch", "snakemake")}}
    mode = "full" if full else "quick"
    return {"date": now, "commit": _commit(), "mode": mode, "cpu": cpu_model(), "cores": str(os.cpu_count()), **versions}


def _record(path: Path, lines: Iterable[Line], circumstances: dict[str, str]) -> None:
    """Append lines to a results file."""
    rows = [{**vars(line), **circumstances} for line in lines]
    new = not path.is_file()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        if new:
            writer.writeheader()
        for row in rows:
            writer.writerow({key: f"{value:.4g}" if isinstance(value, float) else value for key, value in row.items()})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the named benchmarks, or all; print a line each and append it to the results file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure speed; see benchmarks/README.md.")
    parser.add_argument("--full", action="store_true", help="full sizes and more repeats")
    told = "file to append lines to, where the checkout is thrown away (default: benchmarks/results.csv)"
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FILE", help=told)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    args = parser.parse_args(arguments)
    for name in args.names:
        if name not in BENCHMARKS:
            parser.error(f"NAME must be one of {', '.join(BENCHMARKS)}, got {name!r}; choose one")
    import torch

    torch.set_num_threads(1)
    circumstances = _circumstances(args.full)
    print(f"{'name':34} {'ours':>8} {'usual':>8} {'ratio':>6}", flush=True)
    for name in args.names or BENCHMARKS:
        module, _, function = BENCHMARKS[name].partition(".")
        lines = getattr(importlib.import_module(f"benchmarks.{module}"), function)(args.full)
        for line in lines:
            print(f"{line.name:34} {line.ours:8.3f} {line.usual:8.3f} {line.ratio:6.2f}  {line.note}".rstrip(), flush=True)
        if lines:
            _record(args.results, lines, circumstances)
    return 0


if __name__ == "__main__":
    sys.exit(main())
