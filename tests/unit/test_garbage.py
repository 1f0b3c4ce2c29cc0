from __future__ import annotations

import pytest
import toys

from pipeline_lib import artifacts, garbage


@pytest.fixture
def made(tmp_path):
    plan = toys.make_plan(toys.raw_config(tmp_path))
    needed = next(iter(plan.nodes.values()))
    for folder in (needed.folder, "artifacts/train/old-000000000000"):
        artifacts.write_text(tmp_path / folder / "file", "x")
    for kind, suffix in (("logs", "log"), ("benchmarks", "tsv")):
        artifacts.write_text(tmp_path / kind / "train" / f"old-000000000000.{suffix}", "x")
    return plan


def test_listing_removes_nothing(made, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    assert [folder.name for folder in garbage.unneeded(made)] == ["old-000000000000"]
    assert "1 artifacts, 0.00 MiB to remove with --remove" in garbage.collect(made, remove=False)
    assert sorted(tmp_path.rglob("*")) == before


def test_removing_takes_the_log_and_the_record_too_and_keeps_what_is_needed(made, tmp_path):
    assert "old-000000000000" in garbage.collect(made, remove=True)
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith("old-")]
    assert all((tmp_path / node.folder).exists() for node in list(made.nodes.values())[:1])
    assert garbage.unneeded(made) == []


def test_nothing_made_is_nothing_to_remove(tmp_path):
    assert garbage.collect(toys.make_plan(toys.raw_config(tmp_path)), remove=True).startswith("0 artifacts")
