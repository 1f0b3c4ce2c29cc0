from __future__ import annotations

import json

import pytest

from pipeline_lib.planning import inventory
from pipeline_lib.planning.keys import fingerprint
from pipeline_lib.store import artifacts, verification

KEY = "0" * 12


def _record(results, own=KEY, **more):
    folder = results / "artifacts" / "prepare" / f"x-{own}"
    record = {"key": own, "stage": "prepare", "label": "x", "spec": {}, "parents": {}, "sha256": {}}
    artifacts.write_text(folder / verification.RECORD, json.dumps(record | more))
    return folder


def test_a_record_is_read_whole(tmp_path):
    folder = _record(tmp_path, spec={"a": 1}, parents={"data": ["1" * 12]}, code="c" * 12, format=1)
    found = inventory.read(folder)
    assert (found.label, found.spec, found.parents) == ("x", {"a": 1}, {"data": ("1" * 12,)})
    assert (found.code, found.format, found.folder) == ("c" * 12, 1, f"artifacts/prepare/x-{KEY}")
    assert list(inventory.artifacts(tmp_path)) == [found]


@pytest.mark.parametrize("more", [{"spec": 1}, {"parents": 1}, {"stage": "train"}, {"key": "1" * 11}, {"sha256": None}])
def test_a_record_of_wrong_facts_is_none(tmp_path, more):
    assert inventory.read(_record(tmp_path, **more)) is None
    assert list(inventory.artifacts(tmp_path)) == []


def test_specs_differ_in_paths():
    before, after = {"task": {"steps": 3, "lr": 0.1}, "k": 0}, {"task": {"steps": 4, "lr": 0.1}, "seeds": [1]}
    found = ["k: 0 before, none now", "seeds: none before, [1] now", "task.steps: 3 before, 4 now"]
    assert inventory.spec_differences(before, after) == found
    assert inventory.spec_differences(before, before) == []


def test_keys_of_an_earlier_kind_are_told_until_there_are_new_ones(tmp_path):
    assert inventory.leftover(tmp_path, "gc") is None
    _record(tmp_path)
    told = inventory.leftover(tmp_path, "rewind gc config.yaml --remove")
    assert "\n" not in told
    assert told.endswith("rewind gc config.yaml --remove")
    _record(tmp_path, own="1" * 12, format=fingerprint.FORMAT)
    assert inventory.leftover(tmp_path, "gc") is None
