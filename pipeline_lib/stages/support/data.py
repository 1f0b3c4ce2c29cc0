"""Reading and writing prepared data sets, and building networks for them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pipeline_lib.core import registry
from pipeline_lib.core.jpegs import Jpegs
from pipeline_lib.core.pace import Pace
from pipeline_lib.core.types import Dataset, Split
from pipeline_lib.stages.support.training import numerics
from pipeline_lib.store import artifacts, specs
from pipeline_lib.store.device import pick
from pipeline_lib.store.job import Job, log
from pipeline_lib.training.precision import Numerics

CPU = torch.device("cpu")
_FEW = 5  # unreadable images that an error names


@dataclass(frozen=True)
class World:
    """What a task's networks are trained and measured in.

    Args:
        task: its description, a `specs.Task`, or of what is only measured a `specs.MeasuredTask`.
        dataset: on the device to work on.
        network: template of the task's network.
    """

    task: Any
    dataset: Dataset
    network: nn.Sequential

    @property
    def numerics(self) -> Numerics:
        """The task's precision and memory layout."""
        return numerics(self.task)

    @property
    def device(self) -> torch.device:
        """Where the data are."""
        return self.dataset.train.y.device

    def split(self, name: str) -> Split:
        """Look up a part of the data set, "train" or "test"."""
        if name not in ("train", "test"):
            raise ValueError(f"split must be train or test, got {name!r}; choose one of them")
        return self.dataset.train if name == "train" else self.dataset.test


def _digest(tensors: dict[str, Tensor]) -> str:
    return hashlib.sha256(b"".join(artifacts.array(tensor).tobytes() for tensor in tensors.values())).hexdigest()


def _joined(paths: Sequence[str]) -> bytes:
    return "\0".join(paths).encode(errors="surrogateescape")  # the two bytes that names cannot hold are / and this one


def write(path: Path, dataset: Dataset, job: Job[Any], images: str = "") -> None:
    """Write a data set, with a checksum of its content in the header: uint8 tensors, or the list of its files and of their bytes.

    Args:
        path: the file.
        dataset: what to write.
        job: which job does.
        images: digest of all image files, of a data set that stays in them.
    """
    tensors: dict[str, Tensor] = {}
    files: dict[str, Any] = {}
    for part, split in (("train", dataset.train), ("test", dataset.test)):
        if isinstance(split.x, Jpegs):
            tensors[f"{part}_paths"] = torch.frombuffer(bytearray(_joined(split.x.paths)), dtype=torch.uint8)
            files = {key: getattr(split.x, key) for key in ("size", "resize", "min_scale")} | {
                "folder": split.x.root.name,
                "sha256": images,
            }
        elif isinstance(split.x, Tensor):
            tensors[f"{part}_x"] = split.x
        tensors[f"{part}_y"] = split.y
    constants = {"num_classes": dataset.num_classes, "mean": dataset.mean, "std": dataset.std, "files": files}
    artifacts.write_tensors(path, tensors, job.meta(sha256=_digest(tensors), **constants))


def check(dataset: Dataset) -> str:
    """Read all images that stay in files once, so that no job meets a broken one after days.

    Returns:
        SHA-256 of all files' SHA-256, in order.

    Raises:
        ValueError: some cannot be read; the first few are named, and all are counted.
    """
    lists = [split.x for split in (dataset.train, dataset.test) if isinstance(split.x, Jpegs)]
    total, done, broken = sum(len(images.paths) for images in lists), 0, list[str]()
    pace, content = Pace(total), hashlib.sha256()
    for images in lists:
        for path, (fault, digest) in zip(images.paths, images.looks(), strict=True):
            done += 1
            content.update(digest)
            broken += [f"{images.root / path} ({fault})"] if fault else []
            if pace.due(done):
                text = "checked %d/%d images, %d broken, %.0f images/s, %.0f s left"
                log.info(text, done, total, len(broken), pace.speed, pace.left, extra={"who": "images", "pace": pace})
    if lists:
        log.info("checked %d images, %d broken", total, len(broken))
    if broken:
        more = f" and {len(broken) - _FEW} more" if len(broken) > _FEW else ""
        found = f"{len(broken)} of {total} that are not: {', '.join(broken[:_FEW])}{more}"
        raise ValueError(f"images must be readable, got {found}; replace them, or remove them and lower num_train")
    return content.hexdigest()


def check_written(path: Path, name: str) -> None:
    """Hold a prepared data set against what networks are trained on: bytes, labels in range, moments that normalise.

    Raises:
        ValueError: naming what is wrong.
    """
    tensors, meta = artifacts.read_tensors(path)
    for part in ("train", "test"):
        x, y = tensors.get(f"{part}_x"), tensors[f"{part}_y"]
        if x is not None and (x.dtype != torch.uint8 or x.dim() != 4 or not x.numel()):
            rule = f"{part} images of data set {name} must be uint8 (N, C, H, W)"
            raise ValueError(f"{rule}, got {x.dtype} {tuple(x.shape)}; scale them to 0 to 255, as data set arrays does")
        if y.dtype != torch.int64 or y.dim() != 1 or (x is not None and len(x) != len(y)):
            raise ValueError(f"{part} labels of data set {name} must be int64, one an image, got {y.dtype} {tuple(y.shape)}")
        if not 0 <= int(y.min()) <= int(y.max()) < meta["num_classes"]:
            rule = f"{part} labels of data set {name} must be in [0, {meta['num_classes'] - 1}]"
            raise ValueError(f"{rule}, got {int(y.min())} to {int(y.max())}; count classes from 0")
    if not all(math.isfinite(m) and math.isfinite(s) and s > 0 for m, s in zip(meta["mean"], meta["std"], strict=True)):
        rule = f"mean and std of data set {name} must be finite, and std above 0"
        raise ValueError(f"{rule}, got {meta['mean']} and {meta['std']}; leave out channels that do not vary")


def _split(tensors: dict[str, Tensor], part: str, files: dict[str, Any], job: Job[Any], device: torch.device) -> Split:
    y = tensors[f"{part}_y"].to(device)
    if not files:
        return Split(tensors[f"{part}_x"].to(device), y)
    if job.data_root is None:
        raise ValueError("data_root must be set for a folder of images, got none; set it in the config or PIPELINE_DATA_ROOT")
    paths = tuple(artifacts.array(tensors[f"{part}_paths"]).tobytes().decode(errors="surrogateescape").split("\0"))
    strange = [path for path in (*paths, files["folder"]) if Path(path).is_absolute() or ".." in Path(path).parts]
    if strange:
        raise ValueError(f"image must be in data_root, got {strange[0]!r}; prepare the data set again")
    options = {key: files[key] for key in ("size", "resize", "min_scale")}
    return Split(Jpegs(job.data_root / files["folder"], paths, **options), y)


def read(job: Job[Any], device: torch.device = CPU) -> Dataset:
    """Read the data set that a job uses: small ones whole, onto the device; of folders the list of files."""
    tensors, meta = artifacts.read_tensors(job.file("data", "data.safetensors"))
    train, test = (_split(tensors, part, meta["files"], job, device) for part in ("train", "test"))
    return Dataset(train, test, meta["num_classes"], tuple(meta["mean"]), tuple(meta["std"]))


def world(job: Job[specs.Measured] | Job[specs.Training]) -> World:
    """Read the data set that a job measures on, onto the device that it is to work on, and build its task's network."""
    task = job.spec["task"]
    dataset = read(job, pick(numerics(task)))
    return World(task, dataset, build(task, dataset))


def build(task: specs.MeasuredTask, dataset: Dataset, num_classes: int | None = None) -> nn.Sequential:
    """Build a task's network for the shape of its data set, and its classes or another number of outputs."""
    shape = tuple(dataset.train.x.shape[1:])
    return registry.call("networks", task["network"], input_shape=shape, num_classes=num_classes or dataset.num_classes)
