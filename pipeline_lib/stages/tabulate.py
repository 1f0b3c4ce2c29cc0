"""Measurements of one experiment -> one table."""

from __future__ import annotations

from pipeline_lib import artifacts, tables
from pipeline_lib.job import Job


def run(job: Job) -> None:
    """Join the parts of one table."""
    name = job.spec["table"]
    parts = [folder / f"{name}.parquet" for folder in job.reads["parts"]]
    artifacts.write_table(job.folder / "table.parquet", tables.tabulate(parts, name))
