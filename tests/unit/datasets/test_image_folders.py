from __future__ import annotations

import logging
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
import toys
from PIL import Image

from pipeline_lib.analysis.paths import recomputed_paths
from pipeline_lib.core.jpegs import Jpegs
from pipeline_lib.core.rng import numpy_generator
from pipeline_lib.core.types import Dataset, Images
from pipeline_lib.datasets.image_folders import image_folder
from pipeline_lib.training.precision import Numerics

# Written out of order; listed in order.
FILES = {
    "train": {"dog": ["b.png", "a.jpg"], "cat": ["z.JPEG", "y.jpeg", "x.PNG"]},
    "val": {"cat": ["1.jpg"], "dog": ["0.jpg", "2.png"]},
}
SMALL = {"size": 6, "resize": 8}


@pytest.fixture
def root(tmp_path):
    rng = numpy_generator("folders")
    for part, classes in FILES.items():
        for name, files in classes.items():
            folder = tmp_path / "imagenet" / part / name
            folder.mkdir(parents=True)
            for file in files:
                Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)).save(folder / file)
    return tmp_path


def _load(root: Path, num_train: int = 5, num_classes: int = 2, **options: object) -> Dataset:
    return image_folder(root, num_train, num_classes, **{**SMALL, **options})


def test_images_are_listed_by_class_and_name(root):
    data = _load(root)
    assert data.train.x.paths == (
        "train/cat/x.PNG",
        "train/cat/y.jpeg",
        "train/cat/z.JPEG",
        "train/dog/a.jpg",
        "train/dog/b.png",
    )
    assert data.test.x.paths == ("val/cat/1.jpg", "val/dog/0.jpg", "val/dog/2.png")
    assert data.train.x.root == root / "imagenet"


def test_labels_number_the_classes_in_alphabetical_order(root):
    data = _load(root)
    assert (data.train.y.tolist(), data.test.y.tolist()) == ([0, 0, 0, 1, 1], [0, 1, 1])
    assert data.train.y.dtype == data.test.y.dtype == torch.int64
    assert data.num_classes == 2


def test_images_are_decoded_on_demand(root):
    data = _load(root)
    assert isinstance(data.train.x, Images)
    assert tuple(data.train.x.shape) == (5, 3, 6, 6)
    images = data.train.x[:5]
    assert (images.shape, images.dtype) == ((5, 3, 6, 6), torch.uint8)
    assert len({tuple(image.flatten().tolist()) for image in images}) == 5


def test_the_options_reach_the_images(root):
    data = _load(root, size=4, resize=5, min_scale=0.5, mean=[0.1, 0.2, 0.3], std=[0.4, 0.5, 0.6])
    for split in (data.train, data.test):
        assert isinstance(split.x, Jpegs)
        assert (split.x.size, split.x.resize, split.x.min_scale) == (4, 5, 0.5)
    assert (data.mean, data.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))


def test_the_defaults_are_imagenets(root):
    data = image_folder(root, 5, 2)
    assert (data.train.x.size, data.train.x.resize, data.train.x.min_scale) == (224, 256, 0.08)
    assert (data.mean, data.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def test_another_folder_is_an_option(root):
    (root / "imagenet").rename(root / "pets")
    assert len(_load(root, folder="pets").train.y) == 5


def test_all_else_in_the_folders_is_ignored(root):
    for stray in ("train/readme.txt", "train/cat/notes.txt", "val/.DS_Store", "val/dog/2.xml", "train/dog/a.jpg.part"):
        (root / "imagenet" / stray).write_text("stray")
    assert [len(split.y) for split in (_load(root).train, _load(root).test)] == [5, 3]


@pytest.mark.parametrize("part", ["train", "val"])
@pytest.mark.parametrize("hidden", [".ipynb_checkpoints/a-checkpoint.jpg", "cat/._a.jpg", "cat/.DS_Store", "dog/.cache/a.jpg"])
def test_hidden_names_are_skipped(root, part, hidden):
    """Notebooks leave .ipynb_checkpoints behind, archives from a Mac ._NAME beside each file."""
    path = root / "imagenet" / part / hidden
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"no image")
    data = _load(root)
    assert ([len(split.y) for split in (data.train, data.test)], data.num_classes) == ([5, 3], 2)
    assert not any("/." in name for split in (data.train, data.test) for name in split.x.paths)


def test_formats_that_are_left_out_are_counted(root, caplog):
    caplog.set_level(logging.INFO)
    for stray in ("cat/a.webp", "cat/b.WEBP", "dog/c.gif", "dog/LICENSE"):
        (root / "imagenet" / "train" / stray).write_text("stray")
    (root / "imagenet" / "train" / "dog" / "more").mkdir()
    _load(root)
    counted = "5 images; left out, as no .jpeg, .jpg, .png: 1 .gif, 2 .webp, 1 folders, 1 no suffix"
    assert caplog.messages == [f"{root / 'imagenet' / 'train'}: {counted}"]


def test_nothing_is_said_where_nothing_is_left_out(root, caplog):
    caplog.set_level(logging.INFO)
    _load(root)
    assert not caplog.messages


def _message(root: Path | None, *counts: int, **options: object) -> str:
    with pytest.raises(ValueError) as caught:
        _load(root, *counts, **options)
    return str(caught.value)


@pytest.mark.parametrize("num_train", [4, 6])
def test_another_number_of_images_is_refused(root, num_train):
    expected = f"num_train must be what is under {root / 'imagenet' / 'train'}, 5, got {num_train}; correct the task"
    assert _message(root, num_train) == expected


@pytest.mark.parametrize("num_classes", [1, 3])
def test_another_number_of_classes_is_refused(root, num_classes):
    expected = f"num_classes must be what is under {root / 'imagenet' / 'train'}, 2, got {num_classes}; correct the task"
    assert _message(root, 5, num_classes) == expected


def test_no_data_root_is_refused():
    expected = "data_root must be set for a folder of images, got none; set it in the config or PIPELINE_DATA_ROOT"
    assert _message(None) == expected


@pytest.mark.parametrize("folder", ["imagenet", "nowhere"])
def test_a_missing_folder_is_named(tmp_path, folder):
    (tmp_path / "imagenet" / "train").mkdir(parents=True)
    place = tmp_path / folder / "train"
    expected = f"data set must have one folder a class under {place}, got none; set data_root in the config"
    assert _message(tmp_path, folder=folder) == expected


def test_a_missing_part_is_named(root):
    (root / "imagenet" / "val").rename(root / "imagenet" / "test")
    place = root / "imagenet" / "val"
    assert _message(root) == f"data set must have one folder a class under {place}, got none; set data_root in the config"


@pytest.mark.parametrize(
    ("change", "odd"),
    [
        (lambda root: (root / "val" / "cow").mkdir(), "cow under val alone"),
        (lambda root: (root / "train" / "__MACOSX").mkdir(), "__MACOSX under train alone"),
        (lambda root: (root / "val" / "dog").rename(root / "val" / "wolf"), "dog under train alone and wolf under val alone"),
    ],
)
def test_the_odd_class_is_named(root, change, odd):
    change(root / "imagenet")
    rule = f"classes under {root / 'imagenet' / 'val'} must be those under train"
    assert _message(root) == f"{rule}, got {odd}; move what is no class away, and add what is missing"


def test_of_many_odd_classes_a_few_are_named(root):
    for i in range(9):
        (root / "imagenet" / "train" / f"n{i}").mkdir()
    assert "got n0, n1, n2, n3, n4 and 4 more under train alone; " in _message(root)


def test_a_class_without_images_is_named(root):
    (root / "imagenet" / "val" / "cat" / "1.jpg").rename(root / "imagenet" / "val" / "cat" / "1.webp")
    rule = f"folders under {root / 'imagenet' / 'val'} must hold images (.jpeg, .jpg, .png)"
    assert _message(root) == f"{rule}, got none in cat; add them, or remove the class under train and val"


def test_images_that_lie_in_no_class_are_counted(root):
    """ImageNet's archive of validation images has no folders."""
    val = root / "imagenet" / "val"
    for path in list(val.glob("*/*")):
        path.rename(val / f"{path.parent.name}{path.name}")
    for name in ("cat", "dog"):
        (val / name).rmdir()
    rule = f"data set must have one folder a class under {val}"
    assert _message(root) == f"{rule}, got none but 3 images in no class; move them into folders"


def test_statistics_on_a_line_decode_each_image_once(root, monkeypatch):
    data, decoded = _load(root), list[int]()
    original = Jpegs.__getitem__

    def counted(self: Jpegs, which: object) -> torch.Tensor:
        found = original(self, which)
        decoded.append(len(found))
        return found

    monkeypatch.setattr(Jpegs, "__getitem__", counted)
    body = OrderedDict(bn=torch.nn.BatchNorm2d(2), flatten=torch.nn.Flatten(), fc=torch.nn.Linear(32, 2))
    net = torch.nn.Sequential(OrderedDict(stem=torch.nn.Conv2d(3, 2, 3), body=torch.nn.Sequential(body)))
    states = [toys.scrambled(net, seed) for seed in (0, 1)]
    recomputed_paths(net, states, [(0, 1)], [0.0, 0.5, 1.0], data.test, data, Numerics())
    assert sorted(decoded) == [3, 5]  # the test images and the drawn training images, whatever the points
