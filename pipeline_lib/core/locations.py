"""Where things lie: paths as a config writes them, names that the results folder uses itself, and caches without a home."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

# What the results folder holds beside a folder an experiment.
RESERVED = ("artifacts", "benchmarks", "logs", "plans")
LONGEST = 100  # letters of an experiment's name: with a figure's and a key it is a file's name, which may have 255 bytes
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")


def expanded(name: str, path: str) -> str:
    """Write out the variables and the home folder that a path begins with or contains.

    Args:
        name: what the path is of, for errors.
        path: such as `$SCRATCH/data` or `~/data`.

    Raises:
        ValueError: a variable is not set or empty, or there is no such user.
    """

    def value(found: re.Match[str]) -> str:
        variable = found[1] or found[2]
        if not os.environ.get(variable):
            raise ValueError(
                f"{name} must name variables that are set, got ${variable} in {path!r}; set it or write the path out"
            )
        return os.environ[variable]

    written = _VARIABLE.sub(value, path)
    whole = os.path.expanduser(written)  # noqa: PTH111 (pathlib raises a RuntimeError instead)
    if whole.startswith("~"):
        raise ValueError(f"{name} must begin with the home of a user that there is, got {path!r}; write the path out")
    return whole


def check_experiment(name: str) -> None:
    """Check that an experiment's folder is its own, and that its files' names are not too long.

    Raises:
        ValueError: it is not, or they are.
    """
    if name in RESERVED:
        raise ValueError(f"experiment must not be named {', '.join(RESERVED)}, got {name!r}; results has a folder of that name")
    if len(name) > LONGEST:
        raise ValueError(f"experiment's name must have at most {LONGEST} letters, got {len(name)} in {name!r}; shorten it")


def existing(folder: Path) -> Path:
    """Find a folder, or the nearest one above it that there is."""
    return next(path for path in (folder.resolve(), *folder.resolve().parents) if path.exists())


def refusal(folder: Path) -> str:
    """Try to write into a folder, or the one that it would be made in, and say why that cannot be; empty if it can.

    File modes do not tell it everywhere.
    """
    try:
        with tempfile.TemporaryFile(dir=existing(folder)):
            return ""
    except OSError as error:
        return str(error.strerror or error)


def check_working_folder() -> None:
    """Check that Snakemake can keep its records where it is started.

    Raises:
        ValueError: it cannot.
    """
    records = Path.cwd() / ".snakemake"
    if why := refusal(records):
        rule = f"working folder must be writable, as Snakemake keeps its records in it, got {records}: {why}"
        raise ValueError(f"{rule}; start the run in another folder, where results and config files are named by their paths")


def _can_be_written(folder: Path) -> bool:
    place = existing(folder)
    return place.is_dir() and os.access(place, os.W_OK | os.X_OK)


def keep_caches(results: Path) -> None:
    """Let matplotlib keep its list of fonts under the results folder where the home folder cannot be written."""
    if "MPLCONFIGDIR" not in os.environ and not _can_be_written(Path(os.path.expanduser("~"))):  # noqa: PTH111
        os.environ["MPLCONFIGDIR"] = str((results / ".cache" / "matplotlib").resolve())
