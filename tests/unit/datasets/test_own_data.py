"""Data that users bring: arrays, folders, torchvision's names, Hugging Face's files; and what is wrong with them."""

from __future__ import annotations

import inspect
import io
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from pipeline_lib.core.torchvision_import import torchvision_datasets
from pipeline_lib.core.types import Dataset
from pipeline_lib.datasets import small_images
from pipeline_lib.datasets.arrays import arrays
from pipeline_lib.datasets.small_images import hugging_face, small_image_folder, torchvision_set

RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (12, 3, 5, 4), dtype=np.uint8)
LABELS = np.arange(12) % 3


def _save(folder: Path, x: np.ndarray = BYTES, y: np.ndarray = LABELS, **more: np.ndarray) -> None:
    np.savez(folder / "mine.npz", **{"x_train": x, "y_train": y, "x_test": x[:4], "y_test": y[:4]} | more)


def _load(folder: Path, **options: object) -> Dataset:
    return arrays(folder, "mine.npz", **{"num_train": 12, "num_classes": 3} | options)


def test_bytes_come_as_they_are_with_their_own_moments(tmp_path):
    _save(tmp_path)
    data = _load(tmp_path)
    assert torch.equal(data.train.x, torch.from_numpy(BYTES))
    assert data.train.y.tolist() == LABELS.tolist()
    np.testing.assert_allclose(data.mean, (BYTES / 255).mean((0, 2, 3)))
    np.testing.assert_allclose(data.std, (BYTES / 255).std((0, 2, 3)))
    assert len(_load(tmp_path, num_train=5).train.y) == 5
    assert torch.equal(_load(tmp_path, num_train=5).train.x, _load(tmp_path, num_train=5).train.x)


def test_fractions_become_the_nearest_steps_of_their_declared_range(tmp_path):
    x = RNG.uniform(-2, 3, (12, 1, 4, 4)).astype(np.float32)
    _save(tmp_path, x)
    found = _load(tmp_path, low=-2.0, high=3.0)
    np.testing.assert_allclose(found.train.x.numpy() / 255 * 5 - 2, x, atol=2.5 / 255 + 1e-6)
    with pytest.raises(
        ValueError, match=r"images of mine.npz that are float32 must have a declared range, got low = 0 and high = 0"
    ):
        _load(tmp_path)
    with pytest.raises(
        ValueError, match=r"images of mine.npz must be in \[low, high\] = \[0, 1\], got -1.* to 2.*; correct the range"
    ):
        _load(tmp_path, low=0.0, high=1.0)
    _save(tmp_path, np.full_like(x, np.nan))
    with pytest.raises(ValueError, match=r"images of mine.npz must be in .*, got nan to nan"):
        _load(tmp_path, low=0.0, high=1.0)


@pytest.mark.parametrize(
    ("shape", "options", "expected"),
    [((12, 7), {}, (1, 1, 7)), ((12, 5, 4), {}, (1, 5, 4)), ((12, 5, 4, 3), {"layout": "NHWC"}, (3, 5, 4))],
)
def test_other_shapes_become_images(tmp_path, shape, options, expected):
    x = RNG.integers(0, 256, shape, dtype=np.uint8)
    _save(tmp_path, x)
    found = _load(tmp_path, **options).train.x
    assert found.shape[1:] == expected
    whole = x.transpose(0, 3, 1, 2) if x.ndim == 4 else x
    assert np.array_equal(found.numpy().reshape(whole.shape), whole)


WRONG = {
    "bool": ({"x": BYTES > 9}, r"training images of mine.npz must be uint8 \(N, C, H, W\), got bool \(12, 3, 5, 4\)"),
    "int64": ({"x": BYTES.astype(int)}, r"training images of mine.npz must be uint8 \(N, C, H, W\), got int64"),
    "axes": (
        {"x": BYTES[:, :, None]},
        r"images of mine.npz must be \(N, D\), \(N, H, W\) or of four axes, got \(12, 3, 1",
    ),
    "labels": ({"y": LABELS / 2}, r"training labels of mine.npz must be whole numbers \(12,\), got float64 \(12,\)"),
    "few": ({"y": LABELS[:7]}, r"training labels of mine.npz must be whole numbers \(12,\), got int64 \(7,\)"),
    "one-hot": (
        {"y": np.eye(3, dtype=int)[LABELS]},
        r"training labels of mine.npz must be whole numbers \(12,\), got int64 \(12, 3\)",
    ),
    "one label": ({"y_train": np.array(1)}, r"training labels of mine.npz must be whole numbers \(12,\), got int64 \(\)"),
    "no images": (
        {"x_test": BYTES[:0], "y_test": LABELS[:0]},
        r"test images of mine.npz must be uint8 \(N, C, H, W\), got uint8 \(0, 3, 5, 4\)",
    ),
    "no fractions": (
        {"x": BYTES[:0] / 255, "y": LABELS[:0]},
        r"training images of mine.npz must be uint8 .*, got float64 \(0, 3",
    ),
    "channels last": (
        {"x": np.ascontiguousarray(BYTES.transpose(0, 2, 3, 1))},
        r"images of mine.npz must be \(N, C, H, W\), got \(12, 5, 4, 3\), .*; say layout: NHWC in the task's dataset",
    ),
    "objects": ({"y_test": np.array([0, None, 1, 2])}, r"mine.npz must be a whole .npz file without objects, got: Object arrays"),
    "classes": ({"y": LABELS + 1}, r"training labels of mine.npz must be in \[0, 2\], got 1 to 3; count classes from 0"),
    "shapes": ({"x_test": BYTES[:4, :, :3]}, r"images of mine.npz must have one shape, got \(3, 5, 4\) and \(3, 3, 4\)"),
    "constant": ({"x": np.full_like(BYTES, 7)}, r"channels of mine.npz must vary, got a deviation of 0 in channel 0"),
}


def test_labels_in_a_column_are_labels(tmp_path):
    _save(tmp_path, y=LABELS[:, None])
    assert _load(tmp_path).train.y.tolist() == LABELS.tolist()


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_arrays_is_said(name, tmp_path):
    changed, message = WRONG[name]
    _save(tmp_path, **changed)
    with pytest.raises(ValueError, match=message):
        _load(tmp_path)


def test_what_is_no_such_file_is_said(tmp_path):
    with pytest.raises(ValueError, match=r"mine.npz must be a whole .npz file .*, got: .*No such file.*; check data_root and"):
        _load(tmp_path)
    with pytest.raises(ValueError, match=r"data_root must be set for mine.npz, got none; set it in the config or PIPELINE_DATA"):
        arrays(None, "mine.npz", 12, 3)
    (tmp_path / "mine.npz").mkdir()
    with pytest.raises(ValueError, match=r"mine.npz must be a whole .npz file .*, got: .*Is a directory"):
        _load(tmp_path)
    (tmp_path / "mine.npz").rmdir()
    (tmp_path / "mine.npz").write_text("1,2,3\n")
    with pytest.raises(ValueError, match=r"mine.npz must be a whole .npz file .*, got: another kind of file, or a part of one"):
        _load(tmp_path)
    np.savez(tmp_path / "mine.npz", x_train=BYTES)
    with pytest.raises(ValueError, match=r"must have arrays x_train, .*, got no y_train but x_train; save them so"):
        _load(tmp_path)
    _save(tmp_path)
    with pytest.raises(ValueError, match=r"num_train must be in \[1, 12\], got 13; mine.npz has that many training images"):
        _load(tmp_path, num_train=13)


def _picture(size: tuple[int, int], seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype=np.uint8))


def _folder(root: Path, test: str = "test") -> None:
    for part, num in (("train", 3), (test, 2)):
        for label, name in enumerate(("cat", "dog")):
            (root / "pets" / part / name).mkdir(parents=True)
            for i in range(num):
                _picture((9 + i, 8), 10 * label + i).save(root / "pets" / part / name / f"{i}.{('png', 'bmp', 'jpg')[i]}")


@pytest.mark.parametrize("test", ["test", "val", "valid"])
def test_a_folder_of_any_images_is_read_once(tmp_path, test):
    _folder(tmp_path, test)
    data = small_image_folder(tmp_path, "pets", 6, 2, size=8)
    assert (tuple(data.train.x.shape), tuple(data.test.x.shape)) == ((6, 3, 8, 8), (4, 3, 8, 8))
    assert data.train.y.tolist() == [0, 0, 0, 1, 1, 1]
    whole = np.asarray(_picture((9, 8), 10))
    assert np.array_equal(data.train.x[3].numpy(), whole[:, :8].transpose(2, 0, 1))  # the centre, rounded down
    assert small_image_folder(tmp_path, "pets", 6, 2, size=4, channels=1).train.x.shape == (6, 1, 4, 4)


def test_what_is_wrong_with_a_folder_is_said(tmp_path):
    _folder(tmp_path)
    with pytest.raises(
        ValueError, match=r"train must have a folder of images for each of num_classes = 3, got 2; correct the task"
    ):
        small_image_folder(tmp_path, "pets", 6, 3)
    (tmp_path / "pets" / "train" / "cat" / "3.png").write_bytes(b"no")
    with pytest.raises(ValueError, match=r"image .*3.png must be readable, got: .*; replace or remove it"):
        small_image_folder(tmp_path, "pets", 6, 2)


def _on_disk(folder: Path, num: int) -> None:
    folder.mkdir(parents=True)
    rows = []
    for i in range(num):
        buffer = io.BytesIO()
        _picture((8, 8), i).save(buffer, format="png")
        rows.append({"image": {"bytes": buffer.getvalue(), "path": None}, "label": i % 2})
    table = pa.Table.from_pylist(rows)
    with pa.OSFile(str(folder / "data-00000-of-00001.arrow"), "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}))


def test_hugging_faces_files_are_read_without_its_package(tmp_path):
    _on_disk(tmp_path / "beans" / "train", 6)
    _on_disk(tmp_path / "beans" / "validation", 4)
    data = hugging_face(tmp_path, "beans", 6, 2, size=8)
    assert np.array_equal(data.train.x[1].numpy(), np.asarray(_picture((8, 8), 1)).transpose(2, 0, 1))
    assert (data.train.y.tolist(), len(data.test.y)) == ([0, 1, 0, 1, 0, 1], 4)
    with pytest.raises(ValueError, match=r"train must be a data set of Hugging Face's on disk, with columns img and label, got"):
        hugging_face(tmp_path, "beans", 6, 2, image="img")


def test_torchvisions_sets_go_by_their_names(tmp_path, monkeypatch):
    asked = []

    def made(root, **how):
        asked.append((root, how))
        return [(_picture((8, 8), i), i % 2) for i in range(10)]

    names = SimpleNamespace(SVHN=made, KMNIST=made, EuroSAT=made)
    monkeypatch.setattr("pipeline_lib.datasets.small_images.torchvision_datasets", lambda: names)
    for which, ways in {
        "SVHN": [{"split": "train"}, {"split": "test"}],
        "KMNIST": [{"train": True}, {"train": False}],
        "EuroSAT": [{}],
    }.items():
        data = torchvision_set(tmp_path, which, 8, 2, size=8)
        assert asked == [(tmp_path, how) for how in ways]
        assert len(data.test.y) == (2 if which == "EuroSAT" else 10)
        asked.clear()


def test_every_name_is_torchvisions_and_takes_what_it_is_given():
    ways = {**small_images._PARTS, **dict.fromkeys(small_images._BY_TRAIN, ({"train": True},))}
    ways |= dict.fromkeys(small_images._WHOLE, ({},))
    for name, (train, *_) in ways.items():
        known = inspect.signature(getattr(torchvision_datasets(), name).__init__).parameters
        assert all(option in known or "kwargs" in known for option in train), name


def test_sets_that_are_not_there_are_said(tmp_path):
    with pytest.raises(ValueError, match=r"SVHN must be under .* as torchvision has it, got: .*; set data_root to the folder"):
        torchvision_set(tmp_path, "SVHN", 8, 2)
    with pytest.raises(ValueError, match=r"which must be one of CIFAR10, .*, got 'SVNH'; choose one of them"):
        torchvision_set(tmp_path, "SVNH", 8, 2)
