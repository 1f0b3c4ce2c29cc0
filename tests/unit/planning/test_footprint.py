from __future__ import annotations

import json
from pathlib import Path

import pytest
import toys

from pipeline_lib.experiments import config
from pipeline_lib.planning import declared, driver, estimate, footprint, nodes, plan_file
from pipeline_lib.planning.footprint import BLOCK, Size
from pipeline_lib.planning.written import making
from pipeline_lib.store import artifacts, verification


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


def _by_hand(made: nodes.Plan, stages: set[str]) -> None:
    """Write files and records of some stages, as if their jobs had."""
    for node in (node for node in made.nodes.values() if node.stage in stages):
        folder = made.config.results / node.folder
        names = [Path(name).name for name in node.files()[:-1]]
        for name in names:
            artifacts.write_text(folder / name, "anything")
        record = {"key": node.key, "stage": node.stage, "sha256": verification.digests(folder)}
        artifacts.write_text(folder / verification.RECORD, json.dumps(record))


@pytest.fixture
def whole(tmp_path):
    """A plan of which all is made."""
    made = toys.make_plan(toys.raw_config(tmp_path, orders=2, levels=1))
    _by_hand(made, {node.stage for node in made.nodes.values()})
    return made


def _wanted(made: nodes.Plan) -> list[str]:
    return [node.key for found in (*made.tables.values(), *made.figures.values()) for node in found.values()]


def _tensors(made: nodes.Plan) -> set[str]:
    return {path.parents[1].name for path in made.config.results.glob("artifacts/*/*/*.safetensors")}


def test_states_and_masks_go_when_all_is_made_and_count_as_made(whole):
    results = whole.config.results
    number, size = footprint.let_go(whole.nodes, results)
    assert (number > 0, size) == (True, number * len("anything"))
    assert _tensors(whole) == {"prepare"}
    assert verification.verify(results) == (len(whole.nodes), [])
    assert all(estimate.is_made(whole, node) for node in whole.nodes.values())
    assert footprint.to_make(whole.nodes, _wanted(whole), results) == set()
    assert footprint.let_go(whole.nodes, results) == (0, 0)


def test_a_state_stays_while_something_has_to_read_it_or_another_plan_keeps_it(whole):
    results = whole.config.results
    pair = next(node for node in whole.nodes.values() if node.stage == "interpolate")
    (results / whole.nodes[pair.key].folder / verification.RECORD).unlink()
    other = next(node for node in whole.nodes.values() if node.stage == "rewind")
    footprint.let_go(whole.nodes, results, {other.folder})
    left = {path.parent for path in results.glob("artifacts/*/*/*.safetensors") if path.parents[1].name != "prepare"}
    read = {
        results / node.folder for nodes_read in whole.parents(pair).values() for node in nodes_read if node.stage != "prepare"
    }
    assert left == read | {results / other.folder}


def test_what_is_missing_asks_for_what_it_reads_and_for_no_more(whole):
    results = whole.config.results
    footprint.let_go(whole.nodes, results)
    table = whole.tables["tiny"]["runs"]
    (results / table.folder / "table.parquet").unlink()
    assert footprint.to_make(whole.nodes, _wanted(whole), results) == {table.key}, "tables of runs have stayed"

    pair = next(node for node in whole.nodes.values() if node.stage == "interpolate")
    (results / pair.folder / "interpolation.parquet").unlink()
    (results / whole.tables["tiny"]["interpolation"].folder / "table.parquet").unlink()
    found = footprint.to_make(whole.nodes, _wanted(whole), results)
    trained = {key for role, keys in pair.parents.items() if role != "data" for key in keys}
    assert trained | {pair.key} <= found
    others = {node.key for node in whole.nodes.values() if node.stage == "interpolate"} - {pair.key}
    assert others
    assert not others & found


def test_every_stage_that_writes_tensors_is_said_to_be_of_states_or_masks():
    """Else what it takes is not counted, and stays for ever."""
    tensors = {stage.name for stage in declared.STAGES.values() if any(name.endswith(".safetensors") for name in stage.files)}
    assert tensors - {"prepare"} == {*footprint._STATES, *footprint._MASKS, "score"}
    for stage in tensors - {"prepare", "score"}:
        files = declared.STAGES[stage].files
        assert ("state.safetensors" in files) == (stage in footprint._STATES)
        assert ("mask.safetensors" in files) == (stage in footprint._MASKS)


def test_what_a_run_was_killed_over_when_it_let_it_go_goes_with_the_next(whole, monkeypatch):
    results = whole.config.results
    number, size = len(list(results.glob("artifacts/*/*/*.safetensors"))), len("anything")
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Path, "unlink", lambda path, **_: (_ for _ in ()).throw(KeyboardInterrupt))
        footprint.let_go(whole.nodes, results)
    kept = len(list(results.glob("artifacts/prepare/*/*.safetensors")))
    assert footprint.let_go(whole.nodes, results) == (number - kept, (number - kept) * size)
    assert _tensors(whole) == {"prepare"}
    assert verification.verify(results) == (len(whole.nodes), [])


def test_records_of_what_was_let_go_look_as_old_as_they_did(whole):
    paths = sorted(whole.config.results.glob(f"artifacts/*/*/{verification.RECORD}"))
    before = [path.stat().st_mtime_ns for path in paths]
    footprint.let_go(whole.nodes, whole.config.results)
    assert [path.stat().st_mtime_ns for path in paths] == before


def test_where_all_is_kept_what_was_let_go_is_made_for_what_has_to_read_it_alone(tmp_path):
    made = toys.make_plan(toys.raw_config(tmp_path, orders=2, levels=1))
    _by_hand(made, {node.stage for node in made.nodes.values()})
    footprint.let_go(made.nodes, tmp_path)

    def written() -> plan_file.Written:
        return plan_file.Written(driver.write_plan(made, []))

    names = [node.folder.removeprefix("artifacts/") for node in made.nodes.values()]
    assert footprint.missing(made.nodes, _wanted(made), tmp_path, "all") == set()
    readers = {name for name in names if not name.startswith(("prepare", "tabulate", "derive", "plot", "judge"))}
    assert {name for name in readers if any("state.safe" in file for file in written().reads(name))} == set()

    pair = next(node for node in made.nodes.values() if node.stage == "interpolate")
    (tmp_path / pair.folder / "interpolation.parquet").unlink()
    found = footprint.missing(made.nodes, _wanted(made), tmp_path, "all")
    assert found == footprint.to_make(made.nodes, {pair.key}, tmp_path)
    asking = {name for name in readers if any("state.safe" in file for file in written().reads(name))}
    assert {name.rpartition("-")[2] for name in asking} <= found
    assert pair.folder.removeprefix("artifacts/") in asking


def test_what_another_plan_has_to_read_for_what_it_has_not_made_stays(tmp_path):
    measured = {"keep": "measured"}
    made = toys.make_plan(toys.raw_config(tmp_path, orders=2, levels=1) | measured)
    _by_hand(made, {node.stage for node in made.nodes.values()})
    first = plan_file.Written(driver.write_plan(made, []))
    more = toys.make_plan(toys.raw_config(tmp_path, orders=3, levels=1) | measured)
    other = driver.write_plan(more, [])
    driver.let_go(first)
    missing = [node for node in more.nodes.values() if node.stage in ("train", "interpolate") and node.key not in made.nodes]
    read = {more.nodes[key].folder for node in missing for keys in node.parents.values() for key in keys if key in made.nodes}
    left = {str(path.parent.relative_to(tmp_path)) for path in tmp_path.glob("artifacts/*/*/*.safetensors")}
    assert left == {folder for folder in read if "/tabulate/" not in folder}
    assert any("/train/" in folder for folder in left)
    other.unlink()
    driver.let_go(first)
    assert _tensors(made) == {"prepare"}


def test_a_file_that_is_gone_by_accident_is_missing(whole):
    node = next(node for node in whole.nodes.values() if node.stage == "train")
    path = whole.config.results / node.folder / "state.safetensors"
    path.unlink()
    assert not estimate.is_made(whole, node)
    _, faults = verification.verify(whole.config.results)
    assert [fault.endswith("state.safetensors is gone") for fault in faults] == [True]


def test_a_plan_that_is_made_without_snakemake_leaves_alone_what_is_gone_on_purpose(tmp_path, monkeypatch):
    made = toys.make_plan(toys.raw_config(tmp_path, orders=2, levels=1) | {"keep": "measured"})
    _by_hand(made, {node.stage for node in made.nodes.values()})
    written = plan_file.Written(driver.write_plan(made, []))
    footprint.let_go(made.nodes, made.config.results)
    assert making._missing(written, None) == []
    assert making._missing(written, "interpolate") == []
    pair = next(node for node in made.nodes.values() if node.stage == "interpolate")
    (made.config.results / pair.folder / "interpolation.parquet").unlink()
    found = making._missing(written, "interpolate")
    assert found[-1].key == pair.key, "after all that it reads"
    assert {node.stage for node in found} <= {"pretrain", "prune", "rewind", "train", "interpolate"}
