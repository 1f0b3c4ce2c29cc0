"""Tables -> a table that is computed from them."""

from __future__ import annotations

from pipeline_lib import artifacts, registry, tables
from pipeline_lib.job import Job


def run(job: Job) -> None:
    """Compute one table from others."""
    name = job.spec["table"]
    frames = tables.divided({role: tables.read(folders[0] / "table.parquet") for role, folders in job.reads.items()})
    rows = registry.entries("summaries")[name].load()(frames, job.spec)
    artifacts.write_table(job.folder / "table.parquet", tables.computed(rows, name, job))
