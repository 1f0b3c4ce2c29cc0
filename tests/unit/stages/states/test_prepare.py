"""What `prepare` finds in folders of images, and what it says of it."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline_lib.core import pace
from pipeline_lib.core.rng import numpy_generator
from pipeline_lib.stages.states import prepare
from pipeline_lib.stages.support import data
from pipeline_lib.store.job import Job

NUM = {"train": 8, "val": 3}


@pytest.fixture
def root(tmp_path) -> Path:
    for part, num in NUM.items():
        for name in ("cat", "dog"):
            (tmp_path / "pets" / part / name).mkdir(parents=True)
            for i in range(num):
                pixels = numpy_generator(part, name, i).integers(0, 256, (40, 50, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / "pets" / part / name / f"{i}.jpg")
    return tmp_path


def _prepare(root: Path) -> Job:
    options = {"num_train": 16, "num_classes": 2, "folder": "pets", "size": 8, "resize": 10, "min_scale": 0.08}
    spec = {"dataset": {"name": "image_folder", **options, "mean": [0.5] * 3, "std": [0.5] * 3}}
    job = Job("made", spec, root / "out" / "pets-made", {}, root)
    prepare.run(job)
    return job


def test_sound_images_are_prepared(root, caplog):
    caplog.set_level(logging.INFO)
    job = _prepare(root)
    assert "checked 22 images, 0 broken" in caplog.messages
    assert (job.folder / "data.safetensors").is_file()


def test_any_name_comes_back(root):
    odd = root / "pets" / "train" / "cat" / "a\nb \udcff.jpg"
    (root / "pets" / "train" / "cat" / "0.jpg").rename(odd)
    job = _prepare(root)
    read = data.read(Job("next", {}, root, {"data": [job.folder]}, root))
    assert f"train/cat/{odd.name}" in read.train.x.paths
    assert torch.equal(read.train.x[:], read.train.x[torch.arange(16)])


def test_broken_and_empty_images_are_named_and_counted(root):
    folder = root / "pets" / "train" / "cat"
    whole = (folder / "1.jpg").read_bytes()
    (folder / "0.jpg").write_bytes(b"")
    (folder / "1.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "pets" / "val" / "dog" / "2.jpg").write_text("<html>404</html>")
    with pytest.raises(ValueError, match=r"^images must be readable, got 3 of 22 that are not: ") as caught:
        _prepare(root)
    text = str(caught.value)
    assert text.endswith("; replace them, or remove them and lower num_train")
    assert all(str(root / "pets" / name) in text for name in ("train/cat/0.jpg", "train/cat/1.jpg", "val/dog/2.jpg"))
    assert not (root / "out").exists()


def test_of_many_broken_images_a_few_are_named(root):
    for path in (root / "pets" / "train").glob("*/*.jpg"):
        path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"got 16 of 22 that are not: .* and 11 more; ") as caught:
        _prepare(root)
    assert str(caught.value).count(".jpg (") == 5


def test_progress_is_told(root, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(pace, "SECONDS", 0.0)
    _prepare(root)
    lines = [line for line in caplog.messages if line.startswith("checked") and "images/s" in line]
    assert len(lines) == 22
    assert lines[10].startswith("checked 11/22 images, 0 broken, ")
    assert sum(hasattr(record, "pace") and record.pace.total == 22 for record in caplog.records) == 22


def test_the_bytes_of_all_images_are_part_of_what_is_prepared(root):
    path = root / "pets" / "val" / "dog" / "0.jpg"
    first = (_prepare(root).folder / "data.safetensors").read_bytes()
    assert (_prepare(root).folder / "data.safetensors").read_bytes() == first
    Image.fromarray(np.zeros((40, 50, 3), dtype=np.uint8)).save(path)
    assert (_prepare(root).folder / "data.safetensors").read_bytes() != first
