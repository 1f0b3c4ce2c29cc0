"""Which device a job works on."""

from __future__ import annotations

import os

import torch

from pipeline_lib.store.environment import DEVICE as VARIABLE
from pipeline_lib.training.precision import Numerics


def has_gpu() -> bool:
    """Tell whether jobs work on a GPU, see `pick`."""
    asked, present = os.environ.get(VARIABLE, "auto"), torch.cuda.is_available()
    if asked not in ("auto", "cpu", "cuda") or (asked == "cuda" and not present):
        found = "a CUDA device" if present else "no CUDA device"
        raise ValueError(
            f"{VARIABLE} must be auto, cpu, or cuda where there is one, got {asked!r} and {found}; change or unset it"
        )
    return present and asked != "cpu"


def pick(numerics: Numerics) -> torch.device:
    """Choose the GPU if there is one, else the CPU, and set how a GPU multiplies float32.

    `PIPELINE_DEVICE=cpu` or `cuda` decides otherwise. Where the results go does not depend on it.

    Raises:
        ValueError: another value, or cuda where there is none.
    """
    gpu = has_gpu()
    numerics.allow()
    return torch.device("cuda" if gpu else "cpu")
