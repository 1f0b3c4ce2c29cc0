from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline_lib.datasets import torchvision_sets
from pipeline_lib.rng import numpy_generator

SETS = {"MNIST": torchvision_sets.mnist, "FashionMNIST": torchvision_sets.fashionmnist}
SIZES = {"train": 12, "t10k": 5}


def _write_idx(path: Path, array: np.ndarray) -> None:
    """Write bytes in the idx format: magic number, sizes, data."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes())


def _write(root: Path, name: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    rng, made = numpy_generator("idx", name), {}
    for part, num in SIZES.items():
        images = rng.integers(0, 256, (num, 28, 28), dtype=np.uint8)
        labels = rng.integers(0, 10, num, dtype=np.uint8)
        _write_idx(root / name / "raw" / f"{part}-images-idx3-ubyte", images)
        _write_idx(root / name / "raw" / f"{part}-labels-idx1-ubyte", labels)
        made[part] = images, labels
    return made


@pytest.mark.parametrize("name", SETS)
def test_files_in_torchvisions_layout_are_read(name, tmp_path):
    made, data = _write(tmp_path, name), SETS[name](tmp_path)
    for split, (images, labels) in ((data.train, made["train"]), (data.test, made["t10k"])):
        assert split.x.dtype == torch.uint8
        assert torch.equal(split.x, torch.from_numpy(images)[:, None])
        assert torch.equal(split.y, torch.from_numpy(labels).long())
    assert data.num_classes == 10


def test_each_set_reads_its_own_folder(tmp_path):
    made = {name: _write(tmp_path, name) for name in SETS}
    for name, load in SETS.items():
        assert torch.equal(load(tmp_path).train.y, torch.from_numpy(made[name]["train"][1]).long())


@pytest.mark.parametrize("name", SETS)
def test_a_missing_set_is_one_error_that_names_both_ways(name, tmp_path):
    with pytest.raises(ValueError, match=f"data set {name} must be under") as caught:
        SETS[name](tmp_path)
    message = str(caught.value)
    assert str(tmp_path) in message
    assert "connect to the network once" in message
    assert "set data_root" in message
    assert f"{name}/raw" in message
    assert "\n" not in message


def test_a_set_that_is_half_there_is_the_same_error(tmp_path):
    _write(tmp_path, "MNIST")
    (tmp_path / "MNIST" / "raw" / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(ValueError, match="data set MNIST must be under"):
        SETS["MNIST"](tmp_path)


def test_a_failed_download_is_the_same_error(tmp_path, monkeypatch):
    monkeypatch.setattr(torchvision_sets, "_default_root", lambda: tmp_path)

    def refuse(*args, **kwargs):
        raise OSError("Network is unreachable\nand more")

    monkeypatch.setattr(torchvision_sets.torchvision_datasets(), "MNIST", refuse)
    with pytest.raises(ValueError, match="got: Network is unreachable; either connect"):
        SETS["MNIST"](None)
