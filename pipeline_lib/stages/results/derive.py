"""Tables -> a table that is computed from them."""

from __future__ import annotations

from typing import TypedDict

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


class Facts(TypedDict, total=False):
    """What a declaration may ask for; each is by task.

    Args:
        tasks: whole tasks.
        sparse_levels: level of a ladder that counts as sparse.
        pruning: `one-shot` or `iterative`.
        fit_levels: level at which a line is fitted.
        fit_fractions: shares of survivors that it is fitted to.
        regressions: of what its squares are.
        tolerances: by how much a limit may still move.
        references: rewind step of the ladder that pretraining is compared with.
        lessons: what networks learn first, as tables word it.
    """

    tasks: dict[str, specs.Task]
    sparse_levels: dict[str, int]
    pruning: dict[str, str]
    fit_levels: dict[str, int]
    fit_fractions: dict[str, list[float]]
    regressions: dict[str, str]
    tolerances: dict[str, float]
    references: dict[str, int]
    lessons: dict[str, list[str]]


class Spec(specs.Table, Facts):
    """A table of tables, with what its declaration asks for."""


def run(job: Job[Spec]) -> None:
    """Compute one table from others."""
    name = job.spec["table"]
    frames = tabulation.divided({role: tabulation.read(folders[0] / "table.parquet") for role, folders in job.reads.items()})
    rows = registry.entries("derived")[name].load()(frames, job.spec)
    artifacts.write_table(job.folder / "table.parquet", tabulation.computed(rows, job))
