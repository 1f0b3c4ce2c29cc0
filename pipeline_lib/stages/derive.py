"""Tables -> a table that is computed from them."""

from __future__ import annotations

from pipeline_lib.core import registry
from pipeline_lib.store import artifacts, specs
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


class Spec(specs.Table, total=False):
    """A table of tables, with what its declaration asks for; each is by task.

    Args:
        tasks: whole tasks.
        sparse_levels: level of a ladder that counts as sparse.
        pruning: `one-shot` or `iterative`.
        fit_levels: level at which a line is fitted.
        fit_fractions: shares of survivors that it is fitted to.
        regressions: of what its squares are.
        tolerances: by how much a limit may still move.
    """

    tasks: dict[str, specs.Task]
    sparse_levels: dict[str, int]
    pruning: dict[str, str]
    fit_levels: dict[str, int]
    fit_fractions: dict[str, list[float]]
    regressions: dict[str, str]
    tolerances: dict[str, float]


def run(job: Job[Spec]) -> None:
    """Compute one table from others."""
    name = job.spec["table"]
    frames = tabulation.divided({role: tabulation.read(folders[0] / "table.parquet") for role, folders in job.reads.items()})
    rows = registry.entries("derived")[name].load()(frames, job.spec)
    artifacts.write_table(job.folder / "table.parquet", tabulation.computed(rows, job))
