"""How many processors a job may use, and for what: one for its arithmetic, all of them for decoding images."""

from __future__ import annotations

import os
import sys

VARIABLE = "PIPELINE_THREADS"  # what a job was given; rules set it
# Of OpenMP and of the libraries for linear algebra. Snakemake sets them to a job's threads.
ARITHMETIC = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def one_for_arithmetic() -> None:
    """Let arithmetic use one thread whatever a job was given, so that results do not depend on it; if torch is there, too."""
    os.environ.update(dict.fromkeys(ARITHMETIC, "1"))
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


def usable() -> int:
    """Count the processors that this job may use: so many as it was given, else as Slurm gave it, else those that it may run on.

    Raises:
        ValueError: `PIPELINE_THREADS` is no number.
    """
    given = os.environ.get(VARIABLE, "")
    if given and (not given.isdecimal() or int(given) < 1):
        raise ValueError(f"{VARIABLE} must be a whole number above 0, got {given!r}; change or unset it")
    slurm = os.environ.get("SLURM_CPUS_PER_TASK", "")
    if given or slurm.isdecimal():
        return max(1, int(given or slurm))
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
