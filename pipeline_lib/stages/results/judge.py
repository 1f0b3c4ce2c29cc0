"""Tables and claims -> what was measured, and whether each claim holds."""

from __future__ import annotations

from typing import Any

from pipeline_lib.claims import loading, verdicts
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
            ["family", "string", "-", "paper that makes it"],
            ["setting", "string", "-", "task that it is judged on; - for a claim that is about none"],
            ["text", "string", "-", "the claim in words"],
            ["source", "string", "-", "where the paper makes it"],
            ["unit", "string", "-", "unit of the values"],
            ["measured", "double", "unit", "measured value; infinity for an onset beyond the grid, null if not measured"],
            ["low", "double", "unit", "lower end of its interval; minus infinity if it has none"],
            ["high", "double", "unit", "upper end of its interval; infinity if it has none"],
            ["level", "double", "1", "confidence of the interval"],
            ["p", "double", "1", "null probability of a trend of ranks or of a correlation; null for other values"],
            ["num", "int64", "1", "replicates that were used: seeds, where the value is a mean over them"],
            ["asked", "int64", "1", "replicates that were asked for"],
            ["paper_value", "double", "unit", "the paper's value; null where it gives none"],
            ["paper_spread", "double", "unit", "the paper's standard deviation"],
            ["rule", "string", "-", "what the measured value must obey"],
            ["verdict", "string", "-", "holds: the whole interval obeys; fails: none of it does; undecided; or not measured"],
            ["needs", "string", "-", "what the tables lack where it was not measured"],
        ],
    },
}  # fmt: skip


class Spec(specs.Table):
    """Claims to judge.

    Args:
        claims: complete, as `loading.to_dict` gives them.
        roles: of each task, what the words of claims for steps, levels and pretexts stand for.
        seeds: of each task.
    """

    claims: list[dict[str, Any]]
    roles: dict[str, dict[str, Any]]
    seeds: dict[str, list[int]]


def run(job: Job[Spec]) -> None:
    """Judge the claims that the spec lists in full."""
    frames = tabulation.divided({name: tabulation.read(folders[0] / "table.parquet") for name, folders in job.reads.items()})
    claims = [loading.planned(each) for each in job.spec["claims"]]
    found = verdicts.judge(claims, frames, job.spec["roles"], job.spec["seeds"])
    artifacts.write_table(job.folder / "table.parquet", tabulation.computed(found, job))
