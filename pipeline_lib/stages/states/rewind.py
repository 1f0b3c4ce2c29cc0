"""State + mask -> masked start, without torch."""

from __future__ import annotations

from typing import TypedDict

from pipeline_lib.pruning.rewinding import rewind
from pipeline_lib.store import artifacts
from pipeline_lib.store.job import Job

STAGE = {
    "rewind": {
        "group": "masks",
        "needs": "state + mask",
        "makes": "masked start",
        "files": ["state.safetensors"],
        "seconds": 0.3,
    }
}  # fmt: skip


class Spec(TypedDict):
    """The training step that masked starts are to have."""

    step: int


def run(job: Job[Spec]) -> None:
    """Mask the states that runs start from and set their step."""
    arrays, meta = artifacts.read_arrays(job.file("state", "state.safetensors"))
    mask, _ = artifacts.read_arrays(job.file("mask", "mask.safetensors"))
    start = rewind(arrays, {f"params/{name}": keep for name, keep in mask.items()})
    kept = {key: meta[key] for key in ("prunable", "params", "diverged")}
    header = job.meta(**kept, step=job.spec["step"])
    artifacts.write_arrays(job.folder / "state.safetensors", start, header)
