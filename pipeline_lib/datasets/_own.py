"""From images and labels that a user brings to a data set: what they must be, a fixed part of them, and their moments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline_lib.core.rng import torch_generator
from pipeline_lib.core.types import Dataset, Split

if TYPE_CHECKING:
    from PIL.Image import Image

Part = tuple[np.ndarray, np.ndarray]  # uint8 images (N, C, H, W), and labels (N,)
MODES = {1: "L", 3: "RGB"}


def under(data_root: Path | None, name: str) -> Path:
    """Give the path of something in the folder of all data sets.

    Raises:
        ValueError: there is no such folder in the config.
    """
    if data_root is None:
        raise ValueError(f"data_root must be set for {name}, got none; set it in the config or PIPELINE_DATA_ROOT")
    return data_root / name


def pixels(image: Image, size: int, channels: int) -> np.ndarray:
    """Bring an image's centre to `size` x `size` pixels of so many channels, uint8 (C, H, W): its shorter side becomes `size`."""
    from PIL.Image import Resampling

    colours = image.convert(MODES[channels])
    if colours.size != (size, size):
        scale = size / min(colours.size)
        wide, high = (max(size, round(side * scale)) for side in colours.size)
        left, top = (wide - size) // 2, (high - size) // 2
        colours = colours.resize((wide, high), Resampling.BILINEAR).crop((left, top, left + size, top + size))
    return np.asarray(colours, dtype=np.uint8).reshape(size, size, channels).transpose(2, 0, 1)


def _check(part: Part, name: str, what: str, num_classes: int) -> None:
    x, y = part
    if x.dtype != np.uint8 or x.ndim != 4 or not x.size:
        raise ValueError(f"{name} images of {what} must be uint8 (N, C, H, W), got {x.dtype} {x.shape}; convert them")
    if y.dtype.kind not in "iu" or y.shape != (len(x),):
        raise ValueError(f"{name} labels of {what} must be whole numbers ({len(x)},), got {y.dtype} {y.shape}; one an image")
    if y.min() < 0 or y.max() >= num_classes:
        rule = f"{name} labels of {what} must be in [0, {num_classes - 1}]"
        raise ValueError(f"{rule}, got {y.min()} to {y.max()}; count classes from 0, or correct num_classes")


def dataset(train: Part, test: Part, num_train: int, num_classes: int, what: str) -> Dataset:
    """Check two parts and make a data set of them, with the mean and deviation of each channel of the training images.

    Args:
        train: uint8 images (N, C, H, W) and labels (N,) from 0.
        test: likewise, of the same shape.
        num_train: how many training images to use, a fixed random part of them.
        num_classes: how many classes there are.
        what: their name, for errors and for the draw of the part.

    Raises:
        ValueError: naming what is wrong with which part.
    """
    import torch

    for name, part in (("training", train), ("test", test)):
        _check(part, name, what, num_classes)
    if train[0].shape[1:] != test[0].shape[1:]:
        shapes = f"{train[0].shape[1:]} and {test[0].shape[1:]}"
        raise ValueError(f"images of {what} must have one shape, got {shapes} for training and testing; make them equal")
    if num_train > len(train[1]):
        raise ValueError(f"num_train must be in [1, {len(train[1])}], got {num_train}; {what} has that many training images")
    (x, y), (test_x, test_y) = ((torch.from_numpy(a), torch.from_numpy(b.astype(np.int64))) for a, b in (train, test))
    if num_train < len(y):
        chosen = torch.randperm(len(y), generator=torch_generator("subset", what))[:num_train]
        x, y = x[chosen], y[chosen]
    mean, std = moments(x.numpy())
    if not all(std):
        raise ValueError(f"channels of {what} must vary, got a deviation of 0 in channel {std.index(0)}; leave it out")
    return Dataset(Split(x, y), Split(test_x, test_y), num_classes, mean, std)


def moments(x: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Compute mean and deviation of each channel, in units of the full range, from counts of the 256 values."""
    levels = np.arange(256) / 255
    shares = [np.bincount(x[:, channel].reshape(-1), minlength=256) / x[:, channel].size for channel in range(x.shape[1])]
    means = [float(share @ levels) for share in shares]
    return tuple(means), tuple(float(share @ (levels - mean) ** 2) ** 0.5 for share, mean in zip(shares, means, strict=True))


def stacked(images: Sequence[np.ndarray], labels: Sequence[int]) -> Part:
    """Join images and their labels."""
    return np.stack(images), np.asarray(labels, dtype=np.int64)
