"""Measurements of one experiment -> one table."""

from __future__ import annotations

from pipeline_lib.store import artifacts, specs
from pipeline_lib.store.job import Job
from pipeline_lib.tables import columns, tabulation

STAGE = {
    "tabulate": {
        "needs": "measurements",
        "makes": "one table",
        "files": ["table.parquet"],
        "seconds": 1.0,
    }
}  # fmt: skip


class Spec(specs.Table):
    """A table of what a stage measured; a partial one is read by another of these, where parts are many."""

    partial: bool


def run(job: Job[Spec]) -> None:
    """Join the parts of one table."""
    name = job.spec["table"]
    parts = [folder / f"{'table' if folder.parent.name == 'tabulate' else name}.parquet" for folder in job.reads["parts"]]
    if job.spec.get("partial"):
        whole = tabulation.joined(parts, columns.read(job.spec["columns"]), job.members)
        artifacts.write_table(job.folder / "table.parquet", tabulation.plain(whole))
        return
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
