"""Image folders: one subfolder a class under `train` and `val`, decoded while training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pipeline_lib.types import Dataset, Split
from pipeline_lib.values import Count, Folder, In, Of, Pixels, PositiveShare, Share

EXAMPLES = {"image_folder": ((3, 224, 224), 1000)}
_SUFFIXES = (".jpeg", ".jpg", ".png")


def _files(folder: Path, classes: Sequence[str]) -> tuple[list[str], list[int]]:
    paths, labels = [], []
    for label, name in enumerate(classes):
        found = sorted(path for path in (folder / name).iterdir() if path.suffix.lower() in _SUFFIXES)
        paths += [f"{folder.name}/{name}/{path.name}" for path in found]
        labels += [label] * len(found)
    return paths, labels


def _classes(folder: Path) -> list[str]:
    found = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if not found:
        raise ValueError(f"data set must have one folder a class under {folder}, got none; set data_root in the config")
    return found


def image_folder(
    data_root: Path | None,
    num_train: Annotated[int, In("[1, 1000000000]")],
    num_classes: Count,
    folder: Folder = "imagenet",
    size: Pixels = 224,
    resize: Pixels = 256,
    min_scale: PositiveShare = 0.08,
    mean: Annotated[Sequence[Share], Of(3)] = (0.485, 0.456, 0.406),
    std: Annotated[Sequence[PositiveShare], Of(3)] = (0.229, 0.224, 0.225),
) -> Dataset:
    """List the images under `data_root/folder/{train,val}/CLASS/`; they are decoded when a batch needs them.

    Training takes random resized crops, evaluation a central crop.

    Args:
        data_root: folder of all data sets; there is no default, as there is nothing to download.
        num_train: how many training images there are; a check, and what lengths in epochs are reckoned with.
        num_classes: how many classes there are; a check.
        folder: of this data set.
        size: height and width that a network sees, pixels.
        resize: shorter side before evaluation's central crop, pixels.
        min_scale: smallest share of an image's area in a random crop.
        mean: per channel, in units of the full range.
        std: likewise.
    """
    import torch

    from pipeline_lib.jpegs import Jpegs

    if data_root is None:
        raise ValueError("data_root must be set for a folder of images, got none; set it in the config or PIPELINE_DATA_ROOT")
    root = data_root / folder
    classes = _classes(root / "train")
    splits = []
    for part in ("train", "val"):
        if _classes(root / part) != classes:
            raise ValueError(f"classes under {root / part} must be those under train, got others; mend the folders")
        paths, labels = _files(root / part, classes)
        if not paths:
            raise ValueError(f"folders under {root / part} must hold images ({', '.join(_SUFFIXES)}), got none; add them")
        splits.append(Split(Jpegs(root, tuple(paths), size, resize, min_scale), torch.tensor(labels)))
    found = {"num_train": (num_train, len(splits[0].y)), "num_classes": (num_classes, len(classes))}
    for option, (given, counted) in found.items():
        if given != counted:
            raise ValueError(f"{option} must be what is under {root / 'train'}, {counted}, got {given}; correct the task")
    return Dataset(splits[0], splits[1], num_classes, tuple(mean), tuple(std))
