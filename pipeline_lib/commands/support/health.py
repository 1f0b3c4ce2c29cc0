"""What a run needs of the machine that it is started on, and whether it is there."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pipeline_lib.commands.support import snakemake
from pipeline_lib.core import locations, processors
from pipeline_lib.store import environment

OK, MISSING, NONE = "ok", "missing", "none"  # none: there is nothing, and a run works without it
_PYTHON = (3, 11)
_LEAST = 2e9  # bytes free below which even small runs may not end
_SETS = ("MNIST/raw", "FashionMNIST/raw", "cifar-10-batches-py", "cifar-100-python", "imagenet/train")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for.

    Args:
        what: its name.
        state: `ok`, `missing` if a run cannot work without it, or `none` if it can.
        found: what was found.
        remedy: what to do; empty where there is nothing to do.
    """

    what: str
    state: str
    found: str
    remedy: str = ""


def _python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    fits = sys.version_info >= _PYTHON
    return Finding("Python", OK if fits else MISSING, found, "" if fits else f"install {'.'.join(map(str, _PYTHON))} or newer")


def _package(name: str, load: Callable[[], Any]) -> Finding:
    """Import a package, whose failure may be any error."""
    try:
        number = version(name)
        load()
    except PackageNotFoundError:
        return Finding(name, MISSING, "not installed", "run: make quickstart, or pip install --editable .")
    except Exception as error:
        words = " ".join(str(error).split())
        return Finding(name, MISSING, f"{number}, which cannot be imported: {words}", "install the versions of constraints.txt")
    return Finding(name, OK, number)


def _torchvision() -> Any:
    from pipeline_lib.core import torchvision_import

    return torchvision_import.torchvision_datasets()


def _gpu() -> Finding:
    try:
        import torch

        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    except Exception as error:
        return Finding("GPU", NONE, f"torch cannot tell: {' '.join(str(error).split())}")
    if os.environ.get(environment.DEVICE) == "cpu":
        return Finding("GPU", NONE, "not used, as PIPELINE_DEVICE=cpu says", "unset it to use one")
    if names:
        return Finding("GPU", OK, ", ".join(names))
    return Finding("GPU", NONE, f"none that torch sees; jobs use {environment.processor()}, {processors.usable()} processors")


def _slurm() -> Finding:
    where = shutil.which("sbatch")
    if where is None:
        return Finding("Slurm", NONE, "no sbatch here; runs use this machine")
    try:
        version("snakemake-executor-plugin-slurm")
    except PackageNotFoundError:
        return Finding(
            "Slurm", NONE, f"{where}, without Snakemake's plugin", "run: make slurm-profile, then rewind run … --profile slurm"
        )
    there = Path("slurm/config.yaml").is_file()
    return Finding("Slurm", OK, where, "" if there else "for a profile run: make slurm-profile")


def _data(data_root: Path | None) -> Finding:
    named = os.environ.get("PIPELINE_DATA_ROOT", "")
    root = data_root or (Path(locations.expanded("PIPELINE_DATA_ROOT", named)) if named else None)
    if root is None:
        return Finding(
            "data", NONE, "no folder is set: digits come with scikit-learn, others are downloaded", "or set PIPELINE_DATA_ROOT"
        )
    if not root.is_dir():
        return Finding("data", MISSING, f"{root}, which is no folder", "set PIPELINE_DATA_ROOT to one, or unset it")
    there = [name.partition("/")[0] for name in _SETS if (root / name).is_dir()]
    return Finding(
        "data",
        OK if there else NONE,
        f"{root} has {', '.join(there) or 'no data set in its place'}",
        "" if there else f"expected one of {', '.join(_SETS)}",
    )


def _disk(results: Path) -> Finding:
    free = shutil.disk_usage(locations.existing(results)).free
    fits = free > _LEAST
    return Finding(
        "disk", OK if fits else MISSING, f"{free / 1e9:.1f} GB free for {results}", "" if fits else "free some, or set results"
    )


def _permission(what: str, folder: Path, remedy: str) -> Finding:
    """Try to write where a run does."""
    why = locations.refusal(folder)
    if why:
        return Finding(what, MISSING, f"{folder} cannot be written: {why}", remedy)
    return Finding(what, OK, f"{folder} can be written")


def _workflow() -> Finding:
    there = snakemake.SNAKEFILE.is_file()
    remedy = "" if there else "install from a checkout: pip install --editable ."
    return Finding("workflow", OK if there else MISSING, str(snakemake.SNAKEFILE) if there else "not beside the package", remedy)


def examine(results: Path, data_root: Path | None = None) -> list[Finding]:
    """Look for all that a run needs or can use.

    Args:
        results: the results folder, which need not exist yet.
        data_root: folder of data sets; None for `PIPELINE_DATA_ROOT`.
    """
    packages = {"torch": lambda: importlib.import_module("torch"), "torchvision": _torchvision}
    packages |= {"snakemake": lambda: importlib.import_module("snakemake")}
    found = [_python(), *(_package(name, load) for name, load in packages.items())]
    records = _permission("records", Path.cwd() / ".snakemake", "start runs in another folder: Snakemake keeps records there")
    place = _permission("results", results, "set results to another folder")
    return [*found, _workflow(), _gpu(), _slurm(), _data(data_root), _disk(results), place, records]
