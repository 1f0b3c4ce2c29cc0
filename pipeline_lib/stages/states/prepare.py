"""Data set -> uint8 tensors."""

from __future__ import annotations

from typing import TypedDict

from pipeline_lib.core import registry
from pipeline_lib.stages.support import data
from pipeline_lib.store import specs
from pipeline_lib.store.job import Job

STAGE = {
    "prepare": {
        "group": "states",
        "needs": "data set",
        "makes": "uint8 tensors",
        "files": ["data.safetensors"],
        "seconds": 5.0,
    }
}  # fmt: skip


class Spec(TypedDict):
    """A data set, by name and options."""

    dataset: specs.Bound


def run(job: Job[Spec]) -> None:
    """Load a data set and store it as tensors that every later job maps into memory; images that stay in files are checked."""
    dataset = registry.call("datasets", job.spec["dataset"], data_root=job.data_root)
    images = data.check(dataset)
    data.write(job.folder / "data.safetensors", dataset, job, images)


def check(job: Job[Spec]) -> None:
    """Refuse what cannot be a data set, whoever wrote the function that loaded it.

    Raises:
        ValueError: naming what is wrong: the kind of images or labels, labels out of range, or moments that normalise nothing.
    """
    data.check_written(job.folder / "data.safetensors", job.spec["dataset"]["name"])
