"""Tables and claims -> what was measured, and whether each claim holds."""

from __future__ import annotations

from typing import Any

from pipeline_lib.claims import verdicts
from pipeline_lib.store import artifacts, specs
from pipeline_lib.store.job import Job
from pipeline_lib.tables import tabulation

STAGE = {
    "judge": {
        "group": "results",
        "needs": "tables",
        "makes": "the claims of a paper beside what was measured",
        "files": ["table.parquet"],
        "seconds": 1.0,
    }
}  # fmt: skip
TABLES = {
    "claims": {
        "columns": [
            ["claim", "string", "-", "identifier of the claim, see config/claims"],
            ["setting", "string", "-", "task that it is judged on"],
            ["text", "string", "-", "the claim in words"],
            ["source", "string", "-", "where the paper makes it"],
            ["unit", "string", "-", "unit of the values"],
            ["measured", "double", "unit", "measured value; infinity for an onset beyond the grid, null if not measured"],
            ["spread", "double", "unit", "standard deviation of the measured value over replicates"],
            ["num", "int64", "1", "replicates"],
            ["paper_value", "double", "unit", "the paper's value; null where it gives none"],
            ["paper_spread", "double", "unit", "the paper's standard deviation"],
            ["rule", "string", "-", "what the measured value must obey"],
            ["verdict", "string", "-", "holds, fails, or not measured"],
        ],
    },
}  # fmt: skip


class Spec(specs.Table):
    """Claims to judge.

    Args:
        claims: complete, as `verdicts.to_dict` gives them.
        sparse_levels: of each task.
    """

    claims: list[dict[str, Any]]
    sparse_levels: dict[str, int]


def run(job: Job[Spec]) -> None:
    """Judge the claims that the spec lists in full."""
    frames = tabulation.divided({name: tabulation.read(folders[0] / "table.parquet") for name, folders in job.reads.items()})
    found = verdicts.judge([verdicts.planned(each) for each in job.spec["claims"]], frames, job.spec["sparse_levels"])
    artifacts.write_table(job.folder / "table.parquet", tabulation.computed(found, job))
