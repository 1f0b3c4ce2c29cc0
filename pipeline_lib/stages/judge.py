"""Tables and claims -> what was measured, and whether each claim holds."""

from __future__ import annotations

from pipeline_lib.claims import verdicts
from pipeline_lib.store import artifacts
from pipeline_lib.store.job import Job
from pipeline_lib.tables import tabulation


def run(job: Job) -> None:
    """Judge the claims that the spec lists in full."""
    frames = tabulation.divided({name: tabulation.read(folders[0] / "table.parquet") for name, folders in job.reads.items()})
    found = verdicts.judge([verdicts.planned(each) for each in job.spec["claims"]], frames, job.spec["sparse_levels"])
    artifacts.write_table(job.folder / "table.parquet", tabulation.computed(found, "claims", job))
