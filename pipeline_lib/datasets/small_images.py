"""Images that fit into memory: folders of files, torchvision's sets, and Hugging Face's on disk."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from pipeline_lib.core.rng import numpy_generator
from pipeline_lib.core.torchvision_import import torchvision_datasets
from pipeline_lib.core.types import Dataset
from pipeline_lib.core.values import Count, Examples, Folder, Pixels
from pipeline_lib.datasets import _own

EXAMPLES = {
    "small_image_folder": ((3, 32, 32), 10), "torchvision_set": ((3, 32, 32), 10), "hugging_face": ((3, 32, 32), 10),
}  # fmt: skip
_TESTS = ("test", "val", "validation", "valid")  # names of the part that is tested on, the first that is there
# How torchvision's sets name their two parts.
_PARTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    **{name: ({"split": "train"}, {"split": "test"}) for name in (
        "Country211", "DTD", "FER2013", "Flowers102", "Food101", "GTSRB", "PCAM", "RenderedSST2", "StanfordCars", "STL10", "SVHN",
    )},
    "FGVCAircraft": ({"split": "trainval"}, {"split": "test"}),
    "Imagenette": ({"split": "train"}, {"split": "val"}),
    "OxfordIIITPet": ({"split": "trainval"}, {"split": "test"}),
    "EMNIST": ({"split": "balanced", "train": True}, {"split": "balanced", "train": False}),
}  # fmt: skip
_BY_TRAIN = ("CIFAR10", "CIFAR100", "FashionMNIST", "KMNIST", "MNIST", "QMNIST", "USPS")
# Those that torchvision does not divide: a fixed random fifth is for testing.
_WHOLE = ("Caltech101", "Caltech256", "EuroSAT", "SEMEION", "SUN397")


def _parts_of(root: Path) -> tuple[Path, Path]:
    """Name the folders of the two parts, whether or not they are there."""
    return root / "train", next((root / name for name in _TESTS if (root / name).is_dir()), root / "test")


def _files(part: Path) -> Iterator[tuple[Path, int]]:
    """List the images of a part with their labels: classes are its folders, by name."""
    from PIL.Image import registered_extensions

    endings = registered_extensions()
    folders = sorted(each for each in part.iterdir() if each.is_dir() and not each.name.startswith("."))
    for label, folder in enumerate(folders):
        for file in sorted(each for each in folder.rglob("*") if each.suffix.lower() in endings):
            yield file, label


def small_image_folder(
    data_root: Path | None,
    folder: Folder,
    num_train: Examples,
    num_classes: Count,
    size: Pixels = 32,
    channels: Literal[1, 3] = 3,
) -> Dataset:
    """Decode the images under `data_root/folder/{train,test}/CLASS/` once, into memory.

    Files may be of any kind and size that Pillow reads: the shorter side becomes `size` pixels, and the centre is kept. The
    part to test on may be called `val`, `valid` or `validation`, too. Channels are normalised by their own mean and deviation.

    Args:
        data_root: folder of all data sets.
        folder: of this one.
        num_train: how many of the training images to use.
        num_classes: how many folders there are; a check.
        size: height and width, pixels.
        channels: 3, or 1 for grey.
    """
    from PIL import Image

    parts = []
    for part in _parts_of(_own.under(data_root, folder)):
        listed = list(_files(part)) if part.is_dir() else []
        if len({label for _, label in listed}) != num_classes:
            rule = f"{part} must have a folder of images for each of num_classes = {num_classes}"
            raise ValueError(f"{rule}, got {len({label for _, label in listed})}; correct the task or the folder")
        images = []
        for file, _ in listed:
            try:
                with Image.open(file) as image:
                    images.append(_own.pixels(image, size, channels))
            except OSError as error:
                raise ValueError(f"image {file} must be readable, got: {error}; replace or remove it") from None
        parts.append(_own.stacked(images, [label for _, label in listed]))
    return _own.dataset(parts[0], parts[1], num_train, num_classes, folder)


def _joined(examples: Iterable[tuple[Any, Any]], size: int, channels: int) -> _own.Part:
    images, labels = [], []
    for image, label in examples:
        images.append(_own.pixels(image, size, channels))
        labels.append(int(label))
    return _own.stacked(images, labels)


def torchvision_set(
    data_root: Path | None,
    which: Folder,
    num_train: Examples,
    num_classes: Count,
    size: Pixels = 32,
    channels: Literal[1, 3] = 3,
) -> Dataset:
    """Read one of torchvision's classification sets by its name there, into memory; images as for `small_image_folder`.

    Args:
        data_root: the folder that torchvision is to find it in; where none is set, it is downloaded by torchvision.
        which: name of torchvision's class. Of Caltech101, Caltech256, EuroSAT, SEMEION and SUN397, which it does not divide,
            a fixed random fifth is tested on.
        num_train: how many of the training images to use.
        num_classes: how many classes there are.
        size: height and width, pixels.
        channels: 3, or 1 for grey.
    """
    import platformdirs

    known = {**_PARTS, **dict.fromkeys(_BY_TRAIN, ({"train": True}, {"train": False})), **dict.fromkeys(_WHOLE, ({},))}
    if which not in known:
        raise ValueError(f"which must be one of {', '.join(sorted(known))}, got {which!r}; choose one of them")
    root, maker = data_root or Path(platformdirs.user_cache_dir("rewind-datasets")), getattr(torchvision_datasets(), which)
    download = {"download": True} if data_root is None else {}
    try:
        parts = [_joined(maker(root, **how, **download), size, channels) for how in known[which]]
    except (RuntimeError, OSError, TypeError) as error:
        why = (str(error) or "a damaged file").splitlines()[0]
        rule = f"{which} must be under {root} as torchvision has it"
        raise ValueError(f"{rule}, got: {why}; set data_root to the folder that holds it") from None
    first, second = parts if len(parts) > 1 else _divided(parts[0], which)
    return _own.dataset(first, second, num_train, num_classes, which)


def _divided(whole: _own.Part, name: str) -> tuple[_own.Part, _own.Part]:
    """Take a fixed random fifth for testing."""
    x, y = whole
    order = numpy_generator("split", name).permutation(len(y))
    test, train = order[: len(y) // 5], order[len(y) // 5 :]
    return (x[train], y[train]), (x[test], y[test])


def _rows(part: Path, image: str, label: str) -> Iterator[tuple[Any, Any]]:
    """Read images and labels of a part that `save_to_disk` of the package datasets wrote."""
    import pyarrow as pa
    from PIL import Image

    try:
        files = [part / each["filename"] for each in json.loads((part / "state.json").read_text(encoding="utf-8"))["_data_files"]]
        for file in files:
            with pa.memory_map(str(file)) as source:
                table = pa.ipc.open_stream(source).read_all().select([image, label])
            for row in table.to_pylist():
                yield Image.open(io.BytesIO(row[image]["bytes"])), row[label]
    except (OSError, KeyError, TypeError, ValueError, pa.ArrowException) as error:
        rule = f"{part} must be a data set of Hugging Face's on disk, with columns {image} and {label}"
        raise ValueError(f"{rule}, got: {error}; write it by save_to_disk, images with their bytes") from None


def hugging_face(
    data_root: Path | None,
    folder: Folder,
    num_train: Examples,
    num_classes: Count,
    size: Pixels = 32,
    channels: Literal[1, 3] = 3,
    image: Folder = "image",
    label: Folder = "label",
) -> Dataset:
    """Read `data_root/folder`, which `DatasetDict.save_to_disk` wrote, into memory; the package datasets is not needed.

    Args:
        data_root: folder of all data sets.
        folder: of this one; its parts are `train`, and `test`, `val`, `valid` or `validation`.
        num_train: how many of the training images to use.
        num_classes: how many classes there are.
        size: height and width, pixels; as for `small_image_folder`.
        channels: 3, or 1 for grey.
        image: name of the column of images.
        label: name of the column of labels, whole numbers from 0.
    """
    parts = [_joined(_rows(part, image, label), size, channels) for part in _parts_of(_own.under(data_root, folder))]
    return _own.dataset(parts[0], parts[1], num_train, num_classes, folder)
