"""Files that a config brings, as jobs find them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TypedDict

from pipeline_lib.core import files
from pipeline_lib.store.job import Job


class File(TypedDict):
    """A file by the digest of its bytes, wherever it lies."""

    sha256: str


def path(job: Job[File], what: str) -> Path:
    """Find the file of a job.

    Args:
        job: whose spec has its digest.
        what: it is, for errors.

    Raises:
        ValueError: it cannot be read, or is not what it was when the run was planned.
    """
    digest = job.spec["sha256"]
    if digest not in job.brought:
        raise ValueError(f"{what} must be known to the plan, got none of {digest[:12]}; start the run again")
    found = job.brought[digest]
    if hashlib.sha256(files.read(found, what, "put it back")).hexdigest() != digest:
        raise ValueError(f"{what} {found} must stay as it was planned during a run, got other bytes; start the run again")
    return found
