"""Snakemake, called with what a command was told: its words, its log, signals and failures."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline_lib.core import files as core_files
from pipeline_lib.experiments.config import ROOT

LOGS = "logs/runs"
SNAKEFILE = ROOT / "workflow" / "Snakefile"
_FAILED = re.compile(r"^Error in rule (?P<rule>\w+):\n(?P<said>(?: +.*\n)+)", re.MULTILINE)
_LOG = re.compile(r"^ +log: (?P<path>\S.*?)(?: \(check log|$)", re.MULTILINE)
_OUTPUT = re.compile(r"^ +output: (?P<path>[^,\n]+)", re.MULTILINE)
_GROUP = (signal.SIGINT, signal.SIGHUP)  # what a terminal sends to all processes of a run
_LOCKED = "LockException"


def words(files: Sequence[Path], overrides: Mapping[str, Any], *more: str) -> list[str]:
    """Write the command that calls the Snakemake of this environment.

    Args:
        files: the config files.
        overrides: what is laid over them.
        more: further words; targets come behind `--`.

    Raises:
        ValueError: the package is not in a checkout, which has the workflow.
    """
    if not SNAKEFILE.is_file():
        rule = f"workflow must lie beside the package, got none at {SNAKEFILE}"
        raise ValueError(f"{rule}; install from a checkout with: pip install --editable .")
    config = [f"{key}={json.dumps(value)}" for key, value in overrides.items()]
    asked = ["--configfile", *map(str, files), *(["--config", *config] if config else [])]
    return [sys.executable, "-m", "snakemake", "--snakefile", str(SNAKEFILE), *asked, *more]


def new_log(results: Path) -> Path:
    """Begin a log file for a run that begins now.

    Raises:
        ValueError: it cannot be written.
    """
    path = results / LOGS / time.strftime("%Y%m%d-%H%M%S.log")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError as error:
        raise core_files.unwritable(path, error) from None
    return path


@contextmanager
def _passing_on(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Pass signals on: a terminal's to all processes of the run, as a terminal does; others to Snakemake.

    That a terminal is closed is passed on as an interrupt, at which Snakemake leaves no lock.
    """

    def forward(which: int, _: object) -> None:
        if process.poll() is None:
            (os.killpg if which in _GROUP else os.kill)(process.pid, signal.SIGINT if which == signal.SIGHUP else which)

    before = {}
    for each in (*_GROUP, signal.SIGTERM):
        if signal.getsignal(each) is not signal.SIG_IGN:  # as nohup wants it
            before[each] = signal.signal(each, forward)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def run(command: Sequence[str], log: Path, look: Callable[[], None], seconds: float = 1.0) -> int:
    """Run Snakemake to its end, and look what it does meanwhile.

    Args:
        command: its words.
        log: where all goes that it says.
        look: called again and again; where it takes long, the seldomer.
        seconds: between two looks, at least.

    Returns:
        Its exit code, as a shell gives it.
    """
    with log.open("ab") as file:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
    with _passing_on(process):
        pause = seconds
        while True:
            try:
                process.wait(pause)
                break
            except subprocess.TimeoutExpired:
                begun = time.monotonic()
                look()
                pause = max(seconds, 5 * (time.monotonic() - begun))
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


def locked(log: Path) -> bool:
    """Tell whether Snakemake found this folder locked: by another run, or by one that was killed."""
    return _LOCKED in log.read_text(encoding="utf-8", errors="replace")


@dataclass(frozen=True)
class Failure:
    """A job that failed: its rule, what it was to make, and its log, None where it has none."""

    rule: str
    output: str
    log: Path | None


def failures(text: str) -> list[Failure]:
    """Find the jobs that failed for good in what Snakemake said: those whose first output is not there."""
    found: dict[str, Failure] = {}
    for error in _FAILED.finditer(text):
        output, log = _OUTPUT.search(error["said"]), _LOG.search(error["said"])
        name = output["path"].strip() if output else ""
        if not (name and Path(name).exists()):
            found[name] = Failure(error["rule"], name, Path(log["path"]) if log else None)
    return list(found.values())


def last_lines(path: Path, number: int) -> list[str]:
    """Read the last lines of a file that say something; none where it cannot be read."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 2**16))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()][-number:]
