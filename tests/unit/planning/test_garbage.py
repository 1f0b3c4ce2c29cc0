from __future__ import annotations

import json

import pytest
import toys

from pipeline_lib.experiments import config, validation
from pipeline_lib.planning import driver, garbage, nodes
from pipeline_lib.planning.keys import known_code
from pipeline_lib.store import artifacts, verification


def _record(results, folder, **more):
    stage, name = folder.split("/")[1:]
    record = {"key": name.rpartition("-")[2], "stage": stage, "sha256": {}} | more
    artifacts.write_text(results / folder / verification.RECORD, json.dumps(record))


OLD = "artifacts/train/old-000000000000"


@pytest.fixture
def made(tmp_path):
    """A plan of which one artifact is there, beside one that no plan has."""
    made = toys.make_plan(toys.raw_config(tmp_path))
    for folder in (next(iter(made.nodes.values())).folder, OLD):
        _record(tmp_path, folder)
        artifacts.write_text(tmp_path / folder / "file", "x")
    for kind, suffix in (("logs", "log"), ("benchmarks", "tsv")):
        artifacts.write_text(tmp_path / kind / "train" / f"old-000000000000.{suffix}", "x")
    return made


def _names(found):
    return [folder.name for folder in found.folders]


def test_listing_removes_nothing(made, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    found = garbage.find(made)
    assert _names(found) == ["old-000000000000"]
    assert found.report().endswith("1 artifacts, 0.00 MiB that no plan needs")
    assert sorted(tmp_path.rglob("*")) == before


def test_what_is_discarded_comes_back_with_its_log_and_record(made, tmp_path):
    before = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    garbage.discard(garbage.find(made))
    assert not [path for kind in ("artifacts", "logs", "benchmarks") for path in (tmp_path / kind).rglob("old-*")]
    assert garbage.find(made).folders == []
    assert garbage.restore(tmp_path).startswith("1 artifacts brought back")
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == before


def test_the_trash_holds_what_the_last_call_moved(made, tmp_path):
    garbage.discard(garbage.find(made))
    _record(tmp_path, "artifacts/train/older-111111111111")
    garbage.discard(garbage.find(made))
    garbage.restore(tmp_path)
    assert _names(garbage.find(made)) == ["older-111111111111"]


def test_what_was_made_again_is_not_overwritten(made, tmp_path):
    garbage.discard(garbage.find(made))
    artifacts.write_text(tmp_path / OLD / "file", "new")
    assert garbage.restore(tmp_path).startswith("0 artifacts brought back")
    assert (tmp_path / OLD / "file").read_text() == "new"


def test_only_what_carries_our_record_is_ever_taken(made, tmp_path):
    artifacts.write_text(tmp_path / "artifacts" / "my" / "notes" / "file", "mine")
    artifacts.write_text(tmp_path / "artifacts" / "train" / "notes" / "file", "mine")
    _record(tmp_path, "artifacts/my/notes-222222222222")
    _record(tmp_path, "artifacts/train/copy-333333333333", key="4" * 12)
    artifacts.write_text(tmp_path / "artifacts" / "train" / "torn-555555555555" / verification.RECORD, "{")
    (tmp_path / "artifacts" / "train" / "link-000000000000").symlink_to(tmp_path / "artifacts" / "my" / "notes")
    artifacts.write_arrays(tmp_path / "artifacts" / "train" / "cut-666666666666" / "state.safetensors", {}, {"key": "6" * 12})
    found = garbage.find(made)
    assert _names(found) == ["cut-666666666666", "old-000000000000"]
    left = {"notes", "notes-222222222222", "copy-333333333333", "torn-555555555555", "link-000000000000"}
    assert {folder.name for folder in found.foreign} == left
    garbage.discard(found)
    assert {folder.name for folder in garbage.find(made).foreign} == left


def test_what_plan_files_need_is_kept_unless_asked_otherwise(made, tmp_path):
    other = toys.make_plan(toys.raw_config(tmp_path, seeds=[7]))
    driver.write_plan(other, [])
    for node in other.nodes.values():
        _record(tmp_path, node.folder)
    found = garbage.find(made)
    assert _names(found) == ["old-000000000000"]
    alone = other.nodes.keys() - made.nodes.keys()
    assert f"{len(alone)} artifacts kept for plans in {tmp_path}/plans alone; --only lets them go, too" in found.report()
    every = garbage.find(made, only=True)
    assert len(every.folders) == len(alone) + 1
    garbage.discard(every)
    assert not list((tmp_path / "plans").glob("*.jsonl")), "a plan whose artifacts went must not keep the next ones"
    garbage.restore(tmp_path)
    assert _names(garbage.find(made)) == ["old-000000000000"]


def test_plans_with_keys_of_an_earlier_kind_keep_nothing_and_go_with_it(made, tmp_path):
    header = {"inputs": {}, "tasks": {}, "data_root": None, "fingerprints": {}, "published": {}}
    old = tmp_path / "plans" / "0.jsonl"
    artifacts.write_text(old, "\n".join(map(json.dumps, [header, {"key": "0" * 12, "folder": OLD}])))
    found = garbage.find(made)
    assert _names(found) == ["old-000000000000"]
    garbage.discard(found)
    assert not old.exists()
    garbage.restore(tmp_path)
    assert old.is_file()


def test_what_tells_of_code_goes_with_the_last_artifact_of_it(made, tmp_path):
    driver.write_plan(made, [])
    (kept,) = (tmp_path / known_code.FOLDER).iterdir()
    known_code.keep(tmp_path, [("wells", ())])
    (other,) = set((tmp_path / known_code.FOLDER).iterdir()) - {kept}
    garbage.discard(garbage.find(made))
    assert list((tmp_path / known_code.FOLDER).iterdir()) == [kept]
    garbage.restore(tmp_path)
    assert other.is_file()


def test_a_damaged_plan_file_stops_removal(made, tmp_path):
    artifacts.write_text(tmp_path / "plans" / "0.jsonl", "{}\n{")
    with pytest.raises(ValueError, match=r"plan .*0\.jsonl must be whole, got: "):
        garbage.find(made)


def test_nothing_made_is_nothing_to_remove(tmp_path):
    assert garbage.find(toys.make_plan(toys.raw_config(tmp_path))).report().startswith("0 artifacts")


SHIPPED = sorted([config.ROOT / "config" / "config.yaml", *(config.ROOT / "config" / "experiments").glob("*.yaml")])


def _needed(*files):
    """The folders that shipped configs ask for together: two seeds, which some train in one job, three orders, dense networks."""
    names = [name for path in files for name in validation.read_yaml(path)["experiments"]]
    small = {"seeds": [0, 1], "orders": 3, "figures": ["instability_dense"]}
    return frozenset(driver.load(files, {"experiments": dict.fromkeys(names, small)}).by_folder)


def test_what_any_shipped_configs_share_lies_in_one_folder(monkeypatch):
    """A label that followed the figure that asked first would give one key two folders: cache and gc would lose one."""
    labels: dict[str, set[str]] = {}
    add = nodes.Plan.add

    def noting(self, stage, label, *arguments, **counts):
        node = add(self, stage, label, *arguments, **counts)
        labels.setdefault(node.key, set()).add(label)
        return node

    monkeypatch.setattr(nodes.Plan, "add", noting)
    for path in SHIPPED:
        if path.stem == "early_phase":  # the large version of one that is there
            continue
        driver.load([path], {"experiments": {name: {"seeds": [0]} for name in validation.read_yaml(path)["experiments"]}})
    assert len(labels) > 5000
    assert {key: found for key, found in labels.items() if len(found) > 1} == {}


def test_shipped_configs_keep_what_each_of_them_needs():
    """All at once: two that shared a node but not its folder would lose one of its folders here, too."""
    alone = {path: _needed(path) for path in SHIPPED}
    together = _needed(*SHIPPED)
    assert together == frozenset().union(*alone.values())
    assert len(together) < sum(map(len, alone.values())), "some share"
