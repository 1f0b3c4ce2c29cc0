"""As `train`, and keeps the states at given steps, each in a file of its own."""

from __future__ import annotations

from pipeline_lib.stages.states import train
from pipeline_lib.store import artifacts
from pipeline_lib.store.job import Job

STAGE = {
    "trace": {
        "group": "states",
        "needs": "start + mask + order",
        "makes": "as train, and states throughout training",
        "files": ["state.safetensors", "runs.parquet", "curves.parquet", "kept.txt"],
        "cluster": {"minutes": 240, "megabytes": 8000},
        "rate": "training",
        "size": "trained_steps",
    }
}  # fmt: skip


class Spec(train.Spec):
    """As that of `train`, whose `keep` there has to be."""


def run(job: Job[Spec]) -> None:
    """Train a cohort and list the kept states."""
    train.run(job)
    listed = "".join(f"{step}\n" for step in job.spec["keep"])
    artifacts.write_text(job.folder / "kept.txt", listed)
