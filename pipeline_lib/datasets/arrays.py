"""Arrays in a `.npz` file."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pipeline_lib.core.types import Dataset
from pipeline_lib.core.values import Bounded, Count, Examples, Folder
from pipeline_lib.datasets import _own

EXAMPLES = {"arrays": ((1, 28, 28), 10)}
_NAMES = ("x_train", "y_train", "x_test", "y_test")


def _read(file: Path) -> dict[str, np.ndarray]:
    try:
        file.open("rb").close()
        if not zipfile.is_zipfile(file):
            raise zipfile.BadZipFile("another kind of file, or a part of one")
        with np.load(file, allow_pickle=False) as whole:
            found = {name: whole[name] for name in whole.files}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        rule = f"{file} must be a whole .npz file without objects"
        raise ValueError(f"{rule}, got: {error}; check data_root and file, or save it anew") from None
    missing = [name for name in _NAMES if name not in found]
    if missing:
        have = ", ".join(found) or "nothing"
        raise ValueError(f"{file} must have arrays {', '.join(_NAMES)}, got no {missing[0]} but {have}; save them so")
    return found


def _images(x: np.ndarray, low: float, high: float, layout: str, what: str) -> Any:
    """Bring images to uint8 (N, C, H, W): of fractions the nearest of 256 steps of the declared range."""
    if x.dtype.kind == "f" and x.size:
        if not high > low:
            rule = f"images of {what} that are {x.dtype} must have a declared range"
            raise ValueError(f"{rule}, got low = {low:g} and high = {high:g}; say low and high in the task's dataset")
        if not (np.isfinite(x).all() and x.min() >= low and x.max() <= high):
            rule = f"images of {what} must be in [low, high] = [{low:g}, {high:g}]"
            raise ValueError(f"{rule}, got {x.min():g} to {x.max():g}; correct the range or the data")
        x = np.rint((x.astype(np.float64) - low) * (255 / (high - low))).astype(np.uint8)
    shapes = {2: lambda a: a[:, None, None, :], 3: lambda a: a[:, None], 4: lambda a: a}
    if x.ndim not in shapes:
        raise ValueError(f"images of {what} must be (N, D), (N, H, W) or of four axes, got {x.shape}; reshape them")
    if x.ndim == 4 and layout == "NCHW" and x.shape[3] in _own.MODES and x.shape[1] not in _own.MODES:
        rule = f"images of {what} must be (N, C, H, W)"
        raise ValueError(f"{rule}, got {x.shape}, whose last axis looks like channels; say layout: NHWC in the task's dataset")
    whole = shapes[x.ndim](x)
    return np.ascontiguousarray(whole.transpose(0, 3, 1, 2)) if x.ndim == 4 and layout == "NHWC" else whole


def _labels(y: np.ndarray) -> np.ndarray:
    """Take labels in a column as a row; what is no label an image is refused later."""
    return y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y


def arrays(
    data_root: Path | None,
    file: Folder,
    num_train: Examples,
    num_classes: Count,
    low: Bounded = 0.0,
    high: Bounded = 0.0,
    layout: Literal["NCHW", "NHWC"] = "NCHW",
) -> Dataset:
    """Load `x_train`, `y_train`, `x_test` and `y_test` from `data_root/file`, a `.npz` of numpy's.

    Args:
        data_root: folder of all data sets.
        file: its name.
        num_train: how many of the training examples to use.
        num_classes: how many classes there are; labels count from 0.
        low: of fractions, the value that becomes 0: they are kept as the nearest of 256 steps. uint8 is taken as it is.
        high: the value that becomes 255, above `low`.
        layout: of images of four axes. Others are (N, H, W), or (N, D) for vectors, which become images of one row.
    """
    path = _own.under(data_root, file)
    found = _read(path)
    train, test = (
        (_images(found[f"x_{part}"], low, high, layout, file), _labels(found[f"y_{part}"])) for part in ("train", "test")
    )
    return _own.dataset(train, test, num_train, num_classes, file)
