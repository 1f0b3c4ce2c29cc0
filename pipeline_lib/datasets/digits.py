"""Handwritten digits that ship inside scikit-learn: 1,797 real 8x8 images, no download."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pipeline_lib.core.rng import torch_generator
from pipeline_lib.core.types import Dataset, Split
from pipeline_lib.core.values import In

EXAMPLES = {"digits": ((1, 8, 8), 10)}
_NUM_TRAIN = 1440  # of 1,797; the others are for testing


def digits(data_root: Path | None, size: Literal[8, 16] = 8, num_train: Annotated[int, In("[1, 1440]")] = 1440) -> Dataset:
    """Load the digits with a fixed split of 1,440 training and 357 test images.

    Args:
        data_root: not used; the images are in the package.
        size: height and width in pixels, 8 or 16; 16 repeats every pixel twice.
        num_train: how many of the training images to use.

    Source: UCI Optical Recognition of Handwritten Digits, test part.
    """
    import torch
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    x = torch.from_numpy(images).reshape(-1, 1, 8, 8).mul(255 / 16).round().to(torch.uint8)
    x = x.repeat_interleave(size // 8, 2).repeat_interleave(size // 8, 3)
    y = torch.from_numpy(labels).long()
    chosen = torch.randperm(len(x), generator=torch_generator("digits", "split"))
    train, test = chosen[:_NUM_TRAIN], chosen[_NUM_TRAIN:]
    scaled, train = x[train].double() / 255, train[:num_train]
    return Dataset(Split(x[train], y[train]), Split(x[test], y[test]), 10, (float(scaled.mean()),), (float(scaled.std()),))
