"""The dense reference that some measurements need: errors of the networks of all seeds."""

from __future__ import annotations

import math
from typing import Any

from pipeline_lib.store import artifacts
from pipeline_lib.store.job import Job


def errors(job: Job[Any]) -> list[float]:
    """Read the test errors of a job's dense networks, NaN of diverged ones; none if it has no dense networks."""
    heads = [artifacts.read_meta(folder / "state.safetensors") for folder in job.reads.get("dense", [])]
    return [math.nan if error is None else error for head in heads for error in head["errors"]["test"]]
