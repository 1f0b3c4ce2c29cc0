from __future__ import annotations

import pytest
import toys

from pipeline_lib.experiments import config
from pipeline_lib.planning import driver, footprint, nodes
from pipeline_lib.planning.footprint import BLOCK, Size
from pipeline_lib.store import artifacts


def _of(made: nodes.Plan, stage: str) -> tuple[int, int]:
    return footprint.of(made, [node for node in made.nodes.values() if node.stage == stage], lambda task: Size(1000, 800))


@pytest.fixture
def made():
    raw = toys.raw_config(seeds=3, orders=2, levels=1, throughout={"every": 2, "rewind": [2]})
    return toys.make_plan(raw | {"per_job": {"seeds": 2, "orders": 2}})


def test_states_take_four_bytes_an_entry_and_member(made):
    # W_0 and W_2 of two seeds, and of one
    assert _of(made, "pretrain") == (4 * 1000 * 2 * 3 + 4 * 4 * BLOCK, 4 * 4)
    # a masked start for each of them
    assert _of(made, "rewind") == (4 * 1000 * 2 * 3 + 4 * 4 * BLOCK, 4 * 4)


def test_masks_take_a_byte_a_prunable_entry_and_seed(made):
    assert _of(made, "prune") == (800 * 2 * 3 + 4 * 4 * BLOCK, 4 * 4)


def test_kept_states_are_files_of_their_own(made):
    traced = [node for node in made.nodes.values() if node.stage == "trace"]
    kept = sum(len(node.spec["keep"]) * len(node.spec["members"]) for node in traced)
    members = sum(len(node.spec["members"]) for node in traced)
    files = len(traced) * (4 + 1 + 2) + kept
    assert kept > 0
    assert _of(made, "trace") == (4 * 1000 * (members + kept) + files * BLOCK, files)


@pytest.mark.parametrize(
    ("task", "state", "mask"),
    [("lenet_mnist", 266_610, 266_200), ("resnet20", 272_474 + 1589, 270_896), ("resnet50_imagenet", 0, 0)],
)
def test_sizes_are_those_of_the_networks(task, state, mask):
    found = footprint.size(config.load_task(task))
    assert found == Size(state, mask) if state else found.state > 25_000_000


def test_a_state_takes_what_was_said(tmp_path):
    made = toys.make_plan(toys.raw_config(tmp_path, figures=["paths_dense"], rewind=[0], levels=0))
    path = driver.write_plan(made, [])
    for stage in ("prepare", "pretrain"):
        for node in (node for node in made.nodes.values() if node.stage == stage):
            driver.run_node(stage, tmp_path / node.folder, path)
    nodes_made = [node for node in made.nodes.values() if node.stage == "pretrain"]
    files = [path for node in nodes_made for path in (tmp_path / node.folder).iterdir()]
    entries = sum(path.stat().st_size for path in files if path.suffix == ".safetensors")
    headers = sum(len(str(artifacts.read_meta(path))) for path in files if path.suffix == ".safetensors")
    said, number = footprint.of(made, nodes_made)
    assert number == len(files) + 2 * len(nodes_made)
    assert 0 < entries - (said - number * BLOCK) < 2 * headers
