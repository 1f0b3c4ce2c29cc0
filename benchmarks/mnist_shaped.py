"""Random images in the shape of MNIST: what a step costs does not depend on what the pixels show."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import torch

from pipeline_lib.core.types import Dataset, Split

MEAN, STD = (0.1307,), (0.3081,)
SHAPE = (1, 28, 28)
WIDTHS = (300, 100)


def _split(num: int, generator: torch.Generator) -> Split:
    x = torch.randint(0, 256, (num, *SHAPE), dtype=torch.uint8, generator=generator)
    return Split(x, torch.randint(0, 10, (num,), generator=generator))


def dataset(num_train: int, num_test: int) -> Dataset:
    """Draw a data set of MNIST's shape and constants."""
    generator = torch.Generator().manual_seed(0)
    return Dataset(_split(num_train, generator), _split(num_test, generator), 10, MEAN, STD)


def write_idx(split: Split, root: Path) -> None:
    """Write a split as MNIST's own training files under `root`, for torchvision to read."""
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in (("images-idx3", split.x[:, 0].numpy()), ("labels-idx1", split.y.numpy().astype(np.uint8))):
        header = struct.pack(f">I{array.ndim}I", 0x800 + array.ndim, *array.shape)
        (folder / f"train-{name}-ubyte").write_bytes(header + array.tobytes())
        (folder / f"t10k-{name}-ubyte").write_bytes(header + array.tobytes())
