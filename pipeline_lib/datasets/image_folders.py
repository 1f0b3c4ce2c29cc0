"""Image folders: one subfolder a class under `train` and `val`, decoded while training."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pipeline_lib.core.types import Dataset, Split
from pipeline_lib.core.values import Count, Folder, In, Of, Pixels, PositiveShare, Share

EXAMPLES = {"image_folder": ((3, 224, 224), 1000)}
IN_FILES = ("image_folder",)
_SUFFIXES = (".jpeg", ".jpg", ".png")
_FEW = 5  # names in a message

log = logging.getLogger("pipeline_lib")


def _visible(folder: Path) -> list[os.DirEntry[str]]:
    """List a folder by name, without what is hidden: what notebooks, desktops and archives leave there."""
    with os.scandir(folder) as found:
        return sorted((entry for entry in found if not entry.name.startswith(".")), key=lambda entry: entry.name)


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:_FEW]) + (f" and {len(names) - _FEW} more" if len(names) > _FEW else "")


def _classes(folder: Path) -> list[str]:
    entries = _visible(folder) if folder.is_dir() else []
    found = [entry.name for entry in entries if entry.is_dir()]
    if not found:
        loose = sum(Path(entry.name).suffix.lower() in _SUFFIXES for entry in entries)
        remedy = f"none but {loose} images in no class; move them into folders" if loose else "none; set data_root in the config"
        raise ValueError(f"data set must have one folder a class under {folder}, got {remedy}")
    return found


def _require_equal(train: Path, val: Path) -> list[str]:
    """List the classes, which must be those of both parts."""
    here, there = _classes(train), _classes(val)
    odd = {part: sorted(set(own) - set(other)) for part, own, other in ((train, here, there), (val, there, here))}
    words = [f"{_few(names)} under {part.name} alone" for part, names in odd.items() if names]
    if words:
        remedy = "move what is no class away, and add what is missing"
        raise ValueError(f"classes under {val} must be those under {train.name}, got {' and '.join(words)}; {remedy}")
    return here


def _files(folder: Path, classes: Sequence[str]) -> tuple[list[str], list[int]]:
    """List the images of a part with their labels; what is left out is counted in a line of the log."""
    paths: list[str] = []
    labels: list[int] = []
    empty: list[str] = []
    others: Counter[str] = Counter()
    for label, name in enumerate(classes):
        entries = [(entry, Path(entry.name).suffix.lower()) for entry in _visible(folder / name)]
        found = [entry.name for entry, suffix in entries if suffix in _SUFFIXES and not entry.is_dir()]
        others.update((suffix or "no suffix") if not entry.is_dir() else "folders" for entry, suffix in entries)
        paths += [f"{folder.name}/{name}/{file}" for file in found]
        labels += [label] * len(found)
        empty += [] if found else [name]
    left_out = {kind: number for kind, number in sorted(others.items()) if kind not in _SUFFIXES}
    if left_out:
        counted = ", ".join(f"{number} {kind}" for kind, number in left_out.items())
        log.info("%s: %d images; left out, as no %s: %s", folder, len(paths), ", ".join(_SUFFIXES), counted)
    if empty:
        rule = f"folders under {folder} must hold images ({', '.join(_SUFFIXES)})"
        raise ValueError(f"{rule}, got none in {_few(empty)}; add them, or remove the class under train and val")
    return paths, labels


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

    Training takes random resized crops, evaluation a central crop. Hidden names are skipped.

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

    from pipeline_lib.core.jpegs import Jpegs

    if data_root is None:
        raise ValueError("data_root must be set for a folder of images, got none; set it in the config or PIPELINE_DATA_ROOT")
    root = data_root / folder
    classes = _require_equal(root / "train", root / "val")
    splits = []
    for part in ("train", "val"):
        paths, labels = _files(root / part, classes)
        splits.append(Split(Jpegs(root, tuple(paths), size, resize, min_scale), torch.tensor(labels)))
    found = {"num_train": (num_train, len(splits[0].y)), "num_classes": (num_classes, len(classes))}
    for option, (given, counted) in found.items():
        if given != counted:
            raise ValueError(f"{option} must be what is under {root / 'train'}, {counted}, got {given}; correct the task")
    return Dataset(splits[0], splits[1], num_classes, tuple(mean), tuple(std))
