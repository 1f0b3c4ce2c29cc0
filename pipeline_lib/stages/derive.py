"""Tables -> a table that is computed from them."""

from __future__ import annotations

from pipeline_lib import artifacts, registry, tables
from pipeline_lib.job import Job


def run(job: Job) -> None:
    """Compute one table from others. A row that names no artifact is about many networks, and has the key of the table's own."""
    name = job.spec["table"]
    frames = tables.divided({role: tables.read(folders[0] / "table.parquet") for role, folders in job.reads.items()})
    rows = registry.entries("summaries")[name].load()(frames, job.spec)
    artifacts.write_table(job.folder / "table.parquet", tables.to_arrow([{"key": job.key} | row for row in rows], name))
