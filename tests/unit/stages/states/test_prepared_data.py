"""What a data set's function gives is held against what networks are trained on, before its record is written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import every_stage
import pytest
import toys

from pipeline_lib.core import registry

PLUGIN = """
import torch

from pipeline_lib.core.types import Dataset, Split
from pipeline_lib.core.values import Examples

KIND = "datasets"
EXAMPLES = {"mine": ((1, 4, 4), 3)}


def mine(data_root, num_train: Examples = 40):
    x, y = torch.arange(640).reshape(40, 1, 4, 4).remainder(256).to(torch.uint8), torch.arange(40) % 3
    x2, y2 = x.clone(), y.clone()
    return Dataset(CHANGED)
"""
GOOD = "Split(x, y), Split(x2, y2), 3, (0.5,), (0.3,)"
WRONG = {
    "fractions": (
        "Split(x / 255, y), Split(x2, y2), 3, (0.5,), (0.3,)",
        r"train images of data set mine must be uint8 \(N, C, H, W\), got torch.float32 \(40, 1, 4, 4\)",
    ),
    "shape": (
        "Split(x, y), Split(x2[:, 0], y2), 3, (0.5,), (0.3,)",
        r"test images of data set mine must be uint8 \(N, C, H, W\), got torch.uint8 \(40, 4, 4\)",
    ),
    "short": (
        "Split(x, y[:9]), Split(x2, y2), 3, (0.5,), (0.3,)",
        r"train labels of data set mine must be int64, one an image, got torch.int64 \(9,\)",
    ),
    "kind": (
        "Split(x, y.int()), Split(x2, y2), 3, (0.5,), (0.3,)",
        r"train labels of data set mine must be int64, one an image, got torch.int32",
    ),
    "range": (
        "Split(x, y), Split(x2, y2 + 1), 3, (0.5,), (0.3,)",
        r"test labels of data set mine must be in \[0, 2\], got 1 to 3; count",
    ),
    "std": (
        "Split(x, y), Split(x2, y2), 3, (0.5,), (0.0,)",
        r"mean and std of data set mine must be finite, and std above 0, got \[0.5\] and \[0.0\]",
    ),
    "mean": (
        "Split(x, y), Split(x2, y2), 3, (float('nan'),), (0.3,)",
        r"mean and std of data set mine must be finite",
    ),
}


@pytest.fixture(autouse=True)
def _without() -> Iterator[None]:
    yield
    registry.plug([])


def _prepare(folder: Path, said: str) -> Path:
    (folder / "data.py").write_text(PLUGIN.replace("CHANGED", said))
    task = toys.task() | {"dataset": {"name": "mine"}}
    made = toys.make_plan(toys.raw_config(folder / "results") | {"tasks": {"toy": task}, "plugins": [str(folder / "data.py")]})
    (node,) = [node for node in made.nodes.values() if node.stage == "prepare"]
    every_stage.make(made, node)
    return made.config.results / node.folder


def test_what_is_right_is_let_pass(tmp_path):
    assert (_prepare(tmp_path, GOOD) / "spec.json").is_file()


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_and_has_no_record(name, tmp_path):
    said, message = WRONG[name]
    with pytest.raises(ValueError, match=message):
        _prepare(tmp_path, said)
    assert list(tmp_path.glob("results/artifacts/prepare/*/spec.json")) == []
