"""A stage's module, ready for its jobs."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

from pipeline_lib.core import eager, registry
from pipeline_lib.store.job import Job


def load(name: str) -> ModuleType:
    """Import the module of a stage, and what it needs."""
    work = importlib.import_module(registry.modules("stages")[name])
    eager.spare_the_compiler()
    return work


def run(work: ModuleType, job: Job[Any]) -> None:
    """Do a job; where a GPU's memory is too small for what a stage does in chunks, again with smaller ones.

    What finds that out by itself, as evaluation and training do, does not begin again here.
    """
    if "torch" not in sys.modules:
        work.run(job)
        return
    from pipeline_lib.training.room import fitting

    fitting(work.run)(job)
