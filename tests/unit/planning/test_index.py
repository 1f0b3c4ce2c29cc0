from __future__ import annotations

import json
from pathlib import Path

import pytest
import toys

from pipeline_lib.planning import driver, plan_file
from pipeline_lib.planning.written import index as plan_index


@pytest.fixture
def written(tmp_path):
    made = toys.make_plan(toys.raw_config(tmp_path))
    return made, driver.write_plan(made, [])


def _opened(monkeypatch) -> list[Path]:
    """Note which files are searched from their begin."""
    found: list[Path] = []
    kept = Path.open

    def noting(self, mode="r", **options):
        if mode == "rb":
            found.append(self)
        return kept(self, mode, **options)

    monkeypatch.setattr(Path, "open", noting)
    return found


def test_a_node_is_read_without_the_rest_of_the_plan(written, monkeypatch):
    made, path = written
    lines = path.read_text().splitlines()[1:]
    looked_up, searched = plan_index.Lines(path), _opened(monkeypatch)
    assert [looked_up.find(key) for key in made.nodes] == lines
    assert searched == []


@pytest.mark.parametrize("key", ["0" * 12, "f" * 12, ""])
def test_a_key_that_is_in_no_line_is_not_found(written, key):
    assert plan_index.Lines(written[1]).find(key) is None
    plan_index.beside(written[1]).unlink()
    assert plan_index.Lines(written[1]).find(key) is None


@pytest.mark.parametrize(
    "spoil", [lambda index: None, lambda index: index[:40], lambda index: index.replace("1", "2"), lambda index: ""]
)
def test_a_plan_with_no_index_or_a_wrong_one_is_searched(written, spoil):
    made, path = written
    index = plan_index.beside(path)
    spoiled = spoil(index.read_text())
    index.unlink()
    if spoiled is not None:
        index.write_text(spoiled)
    for key, node in made.nodes.items():
        assert plan_file.find_line(path, key)[1]["folder"] == node.folder


def test_a_plan_whose_header_has_changed_has_a_new_index(written):
    """Its name is a hash of the nodes, not of the header, which comes before them."""
    made, path = written
    before = plan_index.beside(path).read_text()
    path.write_text(path.read_text().replace('"data_root": null', '"data_root": "/elsewhere"'))
    for key, node in made.nodes.items():
        assert json.loads(plan_index.Lines(path).find(key) or "")["label"] == node.label
    plan_index.beside(path).unlink()
    driver.write_plan(made, [])
    assert plan_index.beside(path).read_text() == before


def test_the_members_of_an_artifact_are_read_off_its_own_line(written, monkeypatch):
    made, path = written
    trained = next(node for node in made.nodes.values() if node.stage == "train")
    pretrained = next(node for node in made.nodes.values() if node.stage == "pretrain")
    found, searched = plan_file.members(path), _opened(monkeypatch)
    assert found(trained.key) == trained.spec["members"]
    assert found(pretrained.key) == [[seed] for seed in pretrained.spec["seeds"]]
    assert found(next(node.key for node in made.nodes.values() if node.stage == "prepare")) == []
    assert searched == []
    assert found("0" * 12) == []
