"""Reading and writing prepared data sets, and building networks for them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from torch import nn

from pipeline_lib import artifacts, registry
from pipeline_lib.job import Job
from pipeline_lib.types import Dataset, Split


def _digest(dataset: Dataset) -> str:
    tensors = (dataset.train.x, dataset.train.y, dataset.test.x, dataset.test.y)
    return hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in tensors)).hexdigest()


def write(path: Path, dataset: Dataset, job: Job) -> None:
    """Write a data set as uint8 tensors, with a checksum of its content in the header."""
    tensors = {"train_x": dataset.train.x, "train_y": dataset.train.y, "test_x": dataset.test.x, "test_y": dataset.test.y}
    constants = {"num_classes": dataset.num_classes, "mean": dataset.mean, "std": dataset.std}
    artifacts.write_tensors(path, tensors, job.meta(sha256=_digest(dataset), **constants))


def read(job: Job) -> Dataset:
    """Map the data set that a job reads into memory."""
    tensors, meta = artifacts.read_tensors(job.file("data", "data.safetensors"))
    train, test = (Split(tensors[f"{part}_x"], tensors[f"{part}_y"]) for part in ("train", "test"))
    return Dataset(train, test, meta["num_classes"], tuple(meta["mean"]), tuple(meta["std"]))


def build(task: dict[str, Any], dataset: Dataset) -> nn.Sequential:
    """Build a task's network for the shape and classes of its data set."""
    shape = tuple(dataset.train.x.shape[1:])
    return registry.call("networks", task["network"], input_shape=shape, num_classes=dataset.num_classes)
