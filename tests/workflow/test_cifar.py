"""ResNet-20 on CIFAR-10, through the workflow: `make test-all`, with the data in PIPELINE_DATA_ROOT or downloadable."""

from __future__ import annotations

import os
from pathlib import Path

import checkout as co
import pytest


@pytest.mark.slow
def test_two_epochs_of_resnet20_reach_60_percent(tmp_path: Path) -> None:
    grid = {"tasks": ["resnet20_short"], "seeds": 1, "orders": 1, "rewind": [0], "levels": 0, "figures": ["learning_curves"]}
    where = {"data_root": os.environ["PIPELINE_DATA_ROOT"]} if "PIPELINE_DATA_ROOT" in os.environ else {}
    checkout = co.blank(tmp_path / "cifar", {"experiments": {"cifar": grid}, **where})
    co.succeed(checkout)
    runs = checkout.table("cifar", "runs")
    assert runs[["steps", "num_params"]].to_numpy().tolist() == [[780, 272_474]]
    assert runs["test_error"].item() < 0.40
