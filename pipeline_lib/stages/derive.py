"""Tables -> a table that is computed from them."""

from __future__ import annotations

from pipeline_lib.core import registry
from pipeline_lib.store import artifacts
from pipeline_lib.store.job import Job
from pipeline_lib.tables import tabulation

STAGE = {
    "derive": {
        "group": "results",
        "needs": "tables",
        "makes": "a table computed from them",
        "files": ["table.parquet"],
        "seconds": 1.0,
    }
}  # fmt: skip


def run(job: Job) -> None:
    """Compute one table from others."""
    name = job.spec["table"]
    frames = tabulation.divided({role: tabulation.read(folders[0] / "table.parquet") for role, folders in job.reads.items()})
    rows = registry.entries("derived")[name].load()(frames, job.spec)
    artifacts.write_table(job.folder / "table.parquet", tabulation.computed(rows, job))
