"""Measurements of one experiment -> one table."""

from __future__ import annotations

from pipeline_lib.store import artifacts, specs
from pipeline_lib.store.job import Job
from pipeline_lib.tables import columns, tabulation

STAGE = {
    "tabulate": {
        "group": "results",
        "needs": "measurements",
        "makes": "one table",
        "files": ["table.parquet"],
        "seconds": 1.0,
    }
}  # fmt: skip


class Spec(specs.Table):
    """A table of what a stage measured."""


def run(job: Job[Spec]) -> None:
    """Join the parts of one table."""
    name = job.spec["table"]
    parts = [folder / f"{name}.parquet" for folder in job.reads["parts"]]
    table = tabulation.tabulate(
        parts,
        columns.read(job.spec["columns"]),
        job.spec.get("starts"),
        job.spec.get("chance"),
        experiment=job.spec["experiment"],
        members=job.members,
        divide=name in tabulation.DIVIDED,
    )
    artifacts.write_table(job.folder / "table.parquet", tabulation.described(table, job))
