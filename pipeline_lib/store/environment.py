"""Where results are computed: versions, processor or GPU, and threads. Equal bits are promised for one such environment only."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

DEVICE = "PIPELINE_DEVICE"  # auto, cpu or cuda
NAME = "PIPELINE_DEVICE_NAME"  # for planning: of the processor or GPU that jobs will have, where the driver has another
POLICIES = ("record", "strict")
_CPU = Path("/proc/cpuinfo")
_GPUS = Path("/proc/driver/nvidia/gpus")
_DECISIVE = ("python", "torch", "numpy")


def _stated(path: Path, name: str) -> str:
    """Read the first value of a name from a file of lines `name : value`; empty if there is none."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    pairs = (line.partition(":") for line in lines)
    return next((" ".join(value.split()) for key, _, value in pairs if key.strip() == name), "")


def processor() -> str:
    """Name this machine's processor, as its maker does where that is known."""
    return _stated(_CPU, "model name") or platform.processor() or platform.machine() or "unknown processor"


def _gpu() -> str:
    """Name the first GPU by what its driver says, without torch; empty if there is none."""
    return next((name for path in sorted(_GPUS.glob("*/information")) if (name := _stated(path, "Model"))), "")


def versions() -> dict[str, str]:
    """Give the versions that results may depend on; of a package that is not there it is `none`."""
    found = {"python": platform.python_version()}
    for name in ("torch", "numpy", "safetensors"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # where nothing is computed, such as on a login node
            found[name] = "none"
    return found


@dataclass(frozen=True)
class Environment:
    """One environment: name of the processor or GPU, and versions by package."""

    processor: str
    versions: dict[str, str]

    def words(self, with_processor: bool = True) -> str:
        """Word what decides results."""
        named = [f"{name} {self.versions[name]}" for name in _DECISIVE]
        return ", ".join([self.processor, *named] if with_processor else named)

    def differences(self, other: Environment, with_processor: bool = True) -> str:
        """Word in what of that this one differs from another; empty where in nothing."""
        pairs = [(f"{name} {self.versions[name]}", f"{name} {other.versions[name]}") for name in _DECISIVE]
        pairs += [(self.processor, other.processor)] if with_processor else []
        return " and ".join(f"{mine} instead of {theirs}" for mine, theirs in pairs if mine != theirs)


def planned() -> Environment:
    """Tell, without torch, what jobs are expected to run in: what the driver runs in, unless `PIPELINE_DEVICE_NAME` says more."""
    own = processor() if os.environ.get(DEVICE) == "cpu" else _gpu() or processor()
    return Environment(os.environ.get(NAME) or own, versions())


def current(on_device: bool) -> Environment:
    """Tell what this job runs in.

    Args:
        on_device: whether its stage computes on the GPU where there is one; torch is imported only then.
    """
    name = processor()
    if on_device:
        import torch

        if torch.cuda.is_available() and os.environ.get(DEVICE) != "cpu":
            name = torch.cuda.get_device_name()
    return Environment(name, versions())


def threads() -> int:
    """Count the threads that this process computes with."""
    torch = sys.modules.get("torch")
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(torch.get_num_threads() if torch else given if given.isdecimal() else os.cpu_count() or 1)


Made = dict[str, list[str]]  # by environment in words, the stages of all that something comes from that worked there


def united(made: Iterable[Mapping[str, Iterable[str]]]) -> Made:
    """Join what several artifacts were made in."""
    found: dict[str, set[str]] = {}
    for each in made:
        for place, stages in each.items():
            found.setdefault(place, set()).update(stages)
    return {place: sorted(found[place]) for place in sorted(found)}


def summary(made: Made) -> str | None:
    """Word in one line all environments that something was made in; None if that is not known."""
    return "; ".join(sorted(made)) or None


def mixed(made: Made) -> dict[str, list[str]]:
    """Give the stages that worked in several environments, and these: what they made need not be comparable to the last bit."""
    by_stage = {stage: [place for place in sorted(made) if stage in made[place]] for stages in made.values() for stage in stages}
    return {stage: places for stage, places in sorted(by_stage.items()) if len(places) > 1}


def facts(here: Environment, stage: str, spec: Mapping[str, Any], code: str, before: Made) -> dict[str, Any]:
    """List what an artifact's record and the headers of its files say of how it was made.

    Args:
        here: what the job runs in.
        stage: its stage.
        spec: what it makes.
        code: fingerprint of its code.
        before: what the artifacts that it reads were made in.
    """
    used = threads()
    place = here.words() if used == 1 else f"{here.words()}, {used} threads"
    found = {"code": code, "versions": here.versions, "processor": here.processor, "threads": used}
    found |= {"number_format": (spec.get("task") or {}).get("precision")}
    return found | {"made_in": united([before, {place: [stage]}])}
