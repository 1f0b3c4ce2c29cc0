"""Tables and claims -> what was measured, and whether each claim holds."""

from __future__ import annotations

from pipeline_lib import artifacts, claims, tables
from pipeline_lib.job import Job


def run(job: Job) -> None:
    """Judge the claims that the spec lists in full."""
    frames = tables.divided({name: tables.read(folders[0] / "table.parquet") for name, folders in job.reads.items()})
    found = claims.judge([claims.planned(each) for each in job.spec["claims"]], frames, job.spec["sparse_levels"])
    artifacts.write_table(job.folder / "table.parquet", tables.computed(found, "claims", job))
