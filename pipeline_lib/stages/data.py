"""Reading and writing prepared data sets, and building networks for them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pipeline_lib import artifacts, registry
from pipeline_lib.job import Job
from pipeline_lib.jpegs import Jpegs
from pipeline_lib.types import Dataset, Split

CPU = torch.device("cpu")


def _digest(tensors: dict[str, Tensor]) -> str:
    return hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in tensors.values())).hexdigest()


def write(path: Path, dataset: Dataset, job: Job) -> None:
    """Write a data set, with a checksum of its content in the header: uint8 tensors, or the list of its files."""
    tensors: dict[str, Tensor] = {}
    files: dict[str, Any] = {}
    for part, split in (("train", dataset.train), ("test", dataset.test)):
        if isinstance(split.x, Jpegs):
            tensors[f"{part}_paths"] = torch.frombuffer(bytearray("\n".join(split.x.paths).encode()), dtype=torch.uint8)
            files = {key: getattr(split.x, key) for key in ("size", "resize", "min_scale")} | {"folder": split.x.root.name}
        elif isinstance(split.x, Tensor):
            tensors[f"{part}_x"] = split.x
        tensors[f"{part}_y"] = split.y
    constants = {"num_classes": dataset.num_classes, "mean": dataset.mean, "std": dataset.std, "files": files}
    artifacts.write_tensors(path, tensors, job.meta(sha256=_digest(tensors), **constants))


def _split(tensors: dict[str, Tensor], part: str, files: dict[str, Any], job: Job, device: torch.device) -> Split:
    y = tensors[f"{part}_y"].to(device)
    if not files:
        return Split(tensors[f"{part}_x"].to(device), y)
    if job.data_root is None:
        raise ValueError("data_root must be set for a folder of images, got none; set it in the config or PIPELINE_DATA_ROOT")
    paths = tuple(tensors[f"{part}_paths"].numpy().tobytes().decode().split("\n"))
    strange = [path for path in (*paths, files["folder"]) if Path(path).is_absolute() or ".." in Path(path).parts]
    if strange:
        raise ValueError(f"image must be in data_root, got {strange[0]!r}; prepare the data set again")
    options = {key: files[key] for key in ("size", "resize", "min_scale")}
    return Split(Jpegs(job.data_root / files["folder"], paths, **options), y)


def read(job: Job, device: torch.device = CPU) -> Dataset:
    """Read the data set that a job uses: small ones whole, onto the device; of folders the list of files."""
    tensors, meta = artifacts.read_tensors(job.file("data", "data.safetensors"))
    train, test = (_split(tensors, part, meta["files"], job, device) for part in ("train", "test"))
    return Dataset(train, test, meta["num_classes"], tuple(meta["mean"]), tuple(meta["std"]))


def build(task: dict[str, Any], dataset: Dataset, num_classes: int | None = None) -> nn.Sequential:
    """Build a task's network for the shape of its data set, and its classes or another number of outputs."""
    shape = tuple(dataset.train.x.shape[1:])
    return registry.call("networks", task["network"], input_shape=shape, num_classes=num_classes or dataset.num_classes)
