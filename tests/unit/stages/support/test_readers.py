"""What several stages read in one way: masks, the world of a measurement, and which pairs there is something to say of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import by_hand
import numpy as np
import pytest
import torch
import toys

from pipeline_lib.experiments import config
from pipeline_lib.stages.landscape.interpolate import members, sound
from pipeline_lib.stages.support import data, masks
from pipeline_lib.store import artifacts
from pipeline_lib.store.job import Job

SEEDS = [3, 5]
SHAPES = {"b": (2, 3), "a": (4,)}
MADE = [{name: np.full(shape, bool(i)) for name, shape in SHAPES.items()} for i in range(2)]


def _job(root: Path, **roles: list[bool]) -> Job:
    reads = {role: [by_hand.mask(root, role, MADE, lost)] for role, lost in roles.items()}
    return by_hand.job(root, {"seeds": SEEDS}, reads)


def test_a_mask_is_read_for_each_seed_with_the_tensors_in_the_order_asked_for(tmp_path):
    found = masks.read(_job(tmp_path, mask=[False, True]), SHAPES)
    assert (found.diverged, found.empty, found.dense) == ([False, True], [False, False], False)
    for own, made in zip(found.members, MADE, strict=True):
        assert list(own) == ["b", "a"]
        assert all(np.array_equal(own[name], made[name]) for name in SHAPES)


def test_where_nothing_is_pruned_a_mask_keeps_all_and_no_ladder_has_ended(tmp_path):
    found = masks.read(_job(tmp_path, mask=[True, True]), SHAPES, "next")
    assert (found.diverged, found.empty, found.dense) == ([False, False], [False, False], True)
    assert [{name: (keep.shape, keep.dtype, keep.all()) for name, keep in own.items()} for own in found.members] == [
        {name: (shape, np.dtype(bool), True) for name, shape in SHAPES.items()}
    ] * len(SEEDS)


def test_a_damaged_mask_is_refused(tmp_path):
    job = _job(tmp_path, mask=[False, False])
    path = job.file("mask", "mask.safetensors")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="must be a whole safetensors file"):
        masks.read(job, SHAPES)


def test_masks_come_one_a_seed(tmp_path):
    path = _job(tmp_path, mask=[False, True]).file("mask", "mask.safetensors")
    found, head = artifacts.read_masks(path)
    assert [{name: keep.tolist() for name, keep in each.items()} for each in found] == [
        {name: keep.tolist() for name, keep in each.items()} for each in MADE
    ]
    assert head["diverged"] == [False, True]


@pytest.fixture
def task() -> dict[str, Any]:
    return config.load_task("toy", {"toy": toys.task(precision="bf16", channels_last=True)})


def test_a_world_is_the_data_on_a_device_its_network_and_its_numerics(tmp_path, task, monkeypatch):
    monkeypatch.setenv("PIPELINE_DEVICE", "cpu")
    dataset, job = toys.dataset(), by_hand.job(tmp_path, {"task": task}, {"data": [tmp_path / "data-data"]})
    data.write(tmp_path / "data-data" / "data.safetensors", dataset, replace(job, key="data"))
    world = data.world(job)
    assert torch.equal(world.dataset.train.x, dataset.train.x)
    assert torch.equal(world.dataset.test.y, dataset.test.y)
    assert world.device == torch.device("cpu")
    assert (world.numerics.precision, world.numerics.channels_last) == ("bf16", True)
    shapes = {name: tuple(tensor.shape) for name, tensor in world.network.named_parameters()}
    assert shapes["stem.fc1.weight"] == (2, 16)  # of this data set's images
    assert shapes["body.fc2.bias"] == (toys.CLASSES,)


def test_pairs_of_which_one_network_has_diverged_are_left_out():
    pairs = [(0, 1), (1, 2), (2, 0), (2, 3)]
    assert sound(pairs, {0}) == [(1, 2), (2, 3)]
    assert sound(pairs, {1, 3}) == [(2, 0)]
    assert sound(pairs, set()) == pairs


def test_a_pair_of_orders_names_two_runs_of_a_seed():
    assert members([(7, 0, 2)]) == [((7, 0), (7, 2))]
    assert sound(members([(7, 0, 2), (8, 0, 2)]), {(8, 2)}) == [((7, 0), (7, 2))]
