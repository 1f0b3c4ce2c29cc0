from __future__ import annotations

import gzip
import hashlib
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline_lib.core.rng import numpy_generator
from pipeline_lib.core.types import Dataset
from pipeline_lib.datasets import _archives, torchvision_sets
from pipeline_lib.training.batches import Normaliser

GREY = {"MNIST": torchvision_sets.mnist, "FashionMNIST": torchvision_sets.fashionmnist}
COLOUR = {"CIFAR10": torchvision_sets.cifar10, "CIFAR100": torchvision_sets.cifar100}
SETS: dict[str, Callable[..., Dataset]] = {**GREY, **COLOUR}
CLASSES = {"MNIST": 10, "FashionMNIST": 10, "CIFAR10": 10, "CIFAR100": 100}
SIZES = {"train": 12, "t10k": 5}
Made = dict[str, tuple[np.ndarray, np.ndarray]]

# Of each CIFAR set its folder, its files by part, and the keys of its labels and of the names of its classes.
LAYOUT: dict[str, tuple[str, dict[str, list[str]], str, str, str]] = {
    "CIFAR10": (
        "cifar-10-batches-py",
        {"train": ["data_batch_1", "data_batch_2"], "t10k": ["test_batch"]},
        "labels",
        "batches.meta",
        "label_names",
    ),
    "CIFAR100": ("cifar-100-python", {"train": ["train"], "t10k": ["test"]}, "fine_labels", "meta", "fine_label_names"),
}


def _write_idx(path: Path, array: np.ndarray) -> None:
    """Write bytes in the idx format: magic number, sizes, data."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes())


def _write_grey(root: Path, name: str) -> Made:
    rng, made = numpy_generator("idx", name), {}
    for part, num in SIZES.items():
        images = rng.integers(0, 256, (num, 28, 28), dtype=np.uint8)
        labels = rng.integers(0, 10, num, dtype=np.uint8)
        _write_idx(root / name / "raw" / f"{part}-images-idx3-ubyte", images)
        _write_idx(root / name / "raw" / f"{part}-labels-idx1-ubyte", labels)
        made[part] = images[:, None], labels
    return made


def _pickle(path: Path, content: dict[str, Any]) -> list[str]:
    """Write a file as CIFAR's are, and return its name and checksum."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol=2))
    return [path.name, hashlib.md5(path.read_bytes()).hexdigest()]


def _write_colour(root: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> Made:
    """Write a small set in CIFAR's layout, rows of 1,024 red, then green, then blue bytes, and have torchvision expect it."""
    folder, files, key, meta, names = LAYOUT[name]
    rng, made, maker = numpy_generator("cifar", name), {}, getattr(torchvision_sets.torchvision_datasets(), name)
    for part, attribute in (("train", "train_list"), ("t10k", "test_list")):
        images = rng.integers(0, 256, (SIZES[part], 3, 32, 32), dtype=np.uint8)
        labels = rng.integers(0, CLASSES[name], SIZES[part])
        pieces = zip(files[part], *(np.array_split(a, len(files[part])) for a in (images, labels)), strict=True)
        listed = [_pickle(root / folder / file, {"data": x.reshape(-1, 3072), key: y.tolist()}) for file, x, y in pieces]
        monkeypatch.setattr(maker, attribute, listed)
        made[part] = images, labels
    md5 = _pickle(root / folder / meta, {names: [str(i) for i in range(CLASSES[name])]})[1]
    monkeypatch.setattr(maker, "meta", {"filename": meta, "key": names, "md5": md5})
    return made


@pytest.fixture
def write(tmp_path, monkeypatch):
    return lambda name: _write_grey(tmp_path, name) if name in GREY else _write_colour(tmp_path, name, monkeypatch)


@pytest.mark.parametrize("name", SETS)
def test_files_in_torchvisions_layout_are_read(name, write, tmp_path):
    made, data = write(name), SETS[name](tmp_path, num_train=SIZES["train"])
    for split, (images, labels) in ((data.train, made["train"]), (data.test, made["t10k"])):
        assert (split.x.dtype, split.y.dtype) == (torch.uint8, torch.int64)
        assert split.x.is_contiguous()
        assert torch.equal(split.x, torch.from_numpy(images))
        assert torch.equal(split.y, torch.from_numpy(labels).long())
    assert data.num_classes == CLASSES[name]


@pytest.mark.parametrize("name", SETS)
def test_images_are_like_the_sets_example(name, write, tmp_path):
    write(name)
    data = SETS[name](tmp_path, num_train=3)
    shape, num_classes = torchvision_sets.EXAMPLES[name.lower()]
    assert (tuple(data.train.x.shape[1:]), data.num_classes) == (shape, num_classes)
    assert len(data.mean) == len(data.std) == shape[0]


@pytest.mark.parametrize("name", COLOUR)
def test_channels_are_red_green_blue(name, tmp_path, monkeypatch):
    _write_colour(tmp_path, name, monkeypatch)
    folder, files, key, _, _ = LAYOUT[name]
    row = np.repeat(np.array([10, 20, 30], dtype=np.uint8), 1024)
    row[[1, 1024 + 32]] = 99  # red: first row, second column; green: second row, first column
    listed = [_pickle(tmp_path / folder / files["train"][0], {"data": row[None], key: [4]})]
    monkeypatch.setattr(getattr(torchvision_sets.torchvision_datasets(), name), "train_list", listed)
    image = SETS[name](tmp_path, num_train=1).train.x[0]
    assert image[:, 9, 9].tolist() == [10, 20, 30]
    assert (image == 99).nonzero().tolist() == [[0, 0, 1], [1, 1, 0]]


def test_each_set_reads_its_own_folder(write, tmp_path):
    made = {name: write(name) for name in SETS}
    for name, load in SETS.items():
        assert torch.equal(load(tmp_path, num_train=12).train.y, torch.from_numpy(made[name]["train"][1]).long())


def _found(part, whole) -> list[int]:
    """The place in the whole of each image of a part."""
    rows = [image.flatten().tolist() for image in whole.x]
    return [rows.index(image.flatten().tolist()) for image in part.x]


@pytest.mark.parametrize("name", SETS)
def test_fewer_training_images_are_a_fixed_part(name, write, tmp_path):
    write(name)
    whole, some, again = (SETS[name](tmp_path, num_train=num) for num in (12, 5, 5))
    places = _found(some.train, whole.train)
    assert len(set(places)) == 5
    assert torch.equal(some.train.y, whole.train.y[places])
    assert torch.equal(some.train.x, again.train.x)
    assert torch.equal(some.test.x, whole.test.x)
    assert (some.mean, some.std) == (whole.mean, whole.std)


@pytest.mark.parametrize("name", SETS)
def test_a_smaller_part_lies_in_a_larger_one(name, write, tmp_path):
    write(name)
    small, large = (SETS[name](tmp_path, num_train=num).train for num in (3, 8))
    assert torch.equal(small.x, large.x[:3])


def test_a_part_is_drawn_and_not_the_beginning(write, tmp_path):
    write("CIFAR10")
    whole, some = (SETS["CIFAR10"](tmp_path, num_train=num).train for num in (12, 11))
    assert _found(some, whole) != list(range(11))


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("num_train", [0, -3, 13])
def test_a_number_of_training_images_out_of_range_is_refused(name, num_train, write, tmp_path):
    write(name)
    with pytest.raises(ValueError) as caught:
        SETS[name](tmp_path, num_train=num_train)
    assert str(caught.value) == f"num_train must be in [1, 12], got {num_train}; {name} has that many training images"


@pytest.mark.parametrize("name", SETS)
def test_without_an_option_all_training_images_are_used(name, write, tmp_path):
    write(name)
    whole = {"MNIST": 60_000, "FashionMNIST": 60_000, "CIFAR10": 50_000, "CIFAR100": 50_000}[name]
    with pytest.raises(ValueError, match=rf"num_train must be in \[1, 12\], got {whole};"):
        SETS[name](tmp_path)


@pytest.mark.parametrize(
    ("name", "holds"),
    [
        ("MNIST", "MNIST/raw"),
        ("FashionMNIST", "FashionMNIST/raw"),
        ("CIFAR10", "cifar-10-batches-py"),
        ("CIFAR100", "cifar-100-python"),
    ],
)
def test_a_missing_set_of_a_data_root_is_one_error_that_says_where_to_put_it(name, holds, tmp_path):
    with pytest.raises(ValueError, match=f"data set {name} must be under") as caught:
        SETS[name](tmp_path)
    message = str(caught.value)
    assert str(tmp_path) in message
    assert not {"connect", "network", "downloadable"} & set(message.replace(";", " ").split())
    assert f"put {holds} there, or set data_root" in message
    assert "\n" not in message


def test_a_set_that_is_half_there_is_the_same_error(tmp_path):
    _write_grey(tmp_path, "MNIST")
    (tmp_path / "MNIST" / "raw" / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(ValueError, match="data set MNIST must be under"):
        SETS["MNIST"](tmp_path)


@pytest.mark.parametrize("name", GREY)
def test_packed_files_alone_suffice(name, tmp_path):
    """As torchvision leaves them beside the unpacked ones, and as they are downloaded by hand."""
    made = _write_grey(tmp_path, name)
    for path in list((tmp_path / name / "raw").iterdir()):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    data = GREY[name](tmp_path, num_train=SIZES["train"])
    for split, part in ((data.train, "train"), (data.test, "t10k")):
        assert (split.x.numpy() == made[part][0]).all()
        assert (split.y.numpy() == made[part][1]).all()
    assert all(path.suffix == ".gz" for path in (tmp_path / name / "raw").iterdir())


@pytest.mark.parametrize("damage", [lambda packed: packed[:-20], lambda packed: b"<html>" + packed, lambda packed: b""])
def test_a_damaged_packed_file_is_the_same_error(damage, tmp_path):
    _write_grey(tmp_path, "MNIST")
    path = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte"
    path.with_name(f"{path.name}.gz").write_bytes(damage(gzip.compress(path.read_bytes())))
    path.unlink()
    with pytest.raises(ValueError, match="data set MNIST must be under"):
        SETS["MNIST"](tmp_path)


@pytest.mark.parametrize("name", SETS)
def test_a_failed_download_is_the_same_error(name, tmp_path, monkeypatch):
    monkeypatch.setattr(torchvision_sets, "_default_root", lambda: tmp_path)

    def refuse(url):
        raise OSError("Network is unreachable\nand more")

    monkeypatch.setattr(_archives, "_open", refuse)
    with pytest.raises(ValueError, match="got: Network is unreachable; either connect"):
        SETS[name](None)


@pytest.mark.parametrize("name", SETS)
def test_only_the_default_folder_is_downloaded_to_and_only_over_https(name, tmp_path, monkeypatch):
    monkeypatch.setattr(torchvision_sets, "_default_root", lambda: tmp_path / "cache")
    asked = []

    def note(url):
        asked.append(url)
        raise OSError("enough")

    monkeypatch.setattr(_archives, "_open", note)
    with pytest.raises(ValueError, match="data set"):
        SETS[name](tmp_path)
    assert asked == []
    with pytest.raises(ValueError, match="enough"):
        SETS[name](None)
    assert len(asked) == 1
    assert asked[0].startswith("https://")


class _Payload:
    """Unpickling it creates a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._path,)


@pytest.mark.parametrize("name", COLOUR)
@pytest.mark.parametrize("part", ["train", "t10k"])
def test_a_corrupted_file_is_refused_before_it_is_unpickled(name, part, tmp_path, monkeypatch):
    _write_colour(tmp_path, name, monkeypatch)
    folder, files, _, _, _ = LAYOUT[name]
    bait, payload = tmp_path / "created", pickle.dumps(_Payload(tmp_path / "created"))
    (tmp_path / folder / files[part][-1]).write_bytes(payload)
    with pytest.raises(ValueError, match=f"^data set {name} must be under"):
        SETS[name](tmp_path, num_train=12)
    assert not bait.exists()
    pickle.loads(payload)
    assert bait.exists()


@pytest.mark.parametrize("name", COLOUR)
def test_a_forged_set_is_refused_before_it_is_unpickled(name, tmp_path):
    folder = tmp_path / LAYOUT[name][0]
    folder.mkdir()
    names = ["batches.meta", "meta", "test_batch", "train", "test", *(f"data_batch_{i}" for i in range(1, 6))]
    for file in names:
        (folder / file).write_bytes(pickle.dumps(_Payload(tmp_path / "created")))
    with pytest.raises(ValueError, match=f"^data set {name} must be under"):
        SETS[name](tmp_path)
    assert not (tmp_path / "created").exists()


def test_scaled_mnist_has_images_of_one_norm_or_pixels_in_one_range(tmp_path):
    _write_grey(tmp_path, "MNIST")
    plain = torchvision_sets.mnist(tmp_path, 12)
    ranged = torchvision_sets.mnist_scaled(tmp_path, 12, "unit_range")
    assert torch.allclose(Normaliser(ranged)(ranged.train.x), plain.train.x / 255, atol=1e-6)
    unit = torchvision_sets.mnist_scaled(tmp_path, 12)
    for split, before in ((unit.train, plain.train.x), (unit.test, plain.test.x)):
        seen = Normaliser(unit)(split.x).flatten(1)
        assert seen.norm(dim=1).numpy() == pytest.approx(1, abs=2e-3)
        directions = before.float().flatten(1) / before.float().flatten(1).norm(dim=1, keepdim=True)
        assert torch.allclose(seen, directions, atol=1e-3)
    assert torch.equal(unit.train.y, plain.train.y)
    assert len(torchvision_sets.mnist_scaled(tmp_path, 5).train.y) == 5
