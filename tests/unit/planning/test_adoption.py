"""What other code made: found by what it is, told, kept, and forgotten again."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace

import pytest
import toys

from pipeline_lib.planning import adopted, adoption, declared, nodes
from pipeline_lib.planning import plan as planning
from pipeline_lib.planning.keys import fingerprint, known_code
from pipeline_lib.store import artifacts, verification

CODES = {"train": "a" * 12}


@pytest.fixture
def plan(tmp_path, monkeypatch):
    """Plans the toy by a code that differs in some stages, with what the results folder keeps."""

    own = fingerprint.fingerprint

    def planned(codes=(), **experiment):
        codes = dict(codes)
        monkeypatch.setattr(nodes, "fingerprint", lambda stage, named: codes.get(stage) or own(stage, named))
        made = toys.make_plan(toys.raw_config(tmp_path, **experiment))
        made.config.adopted.update(adopted.there(tmp_path))
        return nodes_of(made)

    def nodes_of(made):
        return planning.make_plan(made.config)

    return planned


def _make(made, *stages, **more):
    """Leave files and records as the jobs of a plan do."""
    for node in made.nodes.values():
        if not stages or node.stage in stages:
            folder = made.config.results / node.folder
            for name in declared.STAGES[node.stage].files:
                artifacts.write_text(folder / name, node.key)
            record = {key: getattr(node, key) for key in ("key", "stage", "label", "spec", "parents")}
            record |= {"code": nodes.stage_code(node.stage, node.spec), "format": fingerprint.FORMAT}
            artifacts.write_text(
                folder / verification.RECORD, json.dumps(record | {"sha256": verification.digests(folder)} | more)
            )


def _stages(found):
    return {node.stage for node in found}


def _kept(outcome):
    return {twin.node.stage for twin in outcome.kept.values()}


def _follow(made, *stages):
    shelf = adoption.Shelf(made.config.results)
    every = adoption.follow(made, shelf)
    return adoption.follow(made, shelf, adoption.chosen(made, every, stages)) if stages else every


def _exist(made):
    return all(adopted.is_there(made.config.results, node.folder) for node in made.nodes.values())


def test_what_differs_by_code_alone_is_found_from_the_roots_on(plan):
    _make(plan())
    every = _follow(plan(CODES))
    assert _kept(every) == {"train"}
    assert _stages(every.follow) == {"prune", "rewind", "interpolate", "signs", "tabulate", "derive", "plot"}
    assert every.run == []


def test_what_is_kept_is_there_again_with_all_that_follows(plan, tmp_path):
    before = plan()
    _make(before)
    adoption.keep(plan(CODES), _follow(plan(CODES), "train"))
    after = plan(CODES)
    assert after.nodes.keys() == before.nodes.keys()
    assert set(after.kept) == {node.key for node in before.nodes.values() if node.stage == "train"}
    assert _exist(after)
    assert _follow(after).kept == {}
    assert plan().kept == {}, "by its own code, nothing is kept for other"
    adopted.forget(tmp_path)
    assert not _exist(plan(CODES))


def test_keeping_twice_records_once(plan, tmp_path):
    _make(plan())
    made = plan(CODES)
    for _ in range(2):
        adoption.keep(made, _follow(made, "train"))
    assert len(adopted.read(tmp_path)) == len([node for node in made.nodes.values() if node.stage == "train"])


def test_a_later_code_keeps_what_an_earlier_one_kept(plan):
    before = plan()
    _make(before)
    for digit in "ab":
        code = {"train": digit * 12}
        adoption.keep(plan(code), _follow(plan(code), "train"))
    for digit in "ab":
        assert plan({"train": digit * 12}).nodes.keys() == before.nodes.keys()


def test_what_was_made_from_other_code_keeps_that_too(plan):
    _make(plan())
    made = plan({"pretrain": "b" * 12, "train": "a" * 12, "interpolate": "c" * 12})
    found = _follow(made, "train")
    assert _kept(found) == {"pretrain", "train"}
    assert _stages(found.run) == {"interpolate", "tabulate", "derive", "plot"}
    assert _kept(_follow(made, "pretrain")) == {"pretrain"}


def test_of_several_codes_the_newest_counts(plan, tmp_path):
    for age, digit in enumerate("cb"):
        _make(plan({"train": digit * 12}))
        for path in tmp_path.glob(f"artifacts/*/*/{verification.RECORD}"):
            if json.loads(path.read_text())["code"] == digit * 12:
                os.utime(path, (1e9 - age,) * 2)
    found = _follow(plan(CODES))
    assert {twin.artifact.code for twin in found.kept.values() if twin.node.stage == "train"} == {"c" * 12}


def test_what_has_another_spec_is_named_and_not_kept(plan):
    _make(plan())
    made = plan({}, alphas=5)
    shelf, every = adoption.Shelf(made.config.results), _follow(made)
    assert every.kept == {}
    text = adoption.report(made, shelf, every, "adopt")
    assert re.search(r"^interpolate: \d+ cannot be kept: its spec is another: alphas: 3 before, 5 now$", text, re.MULTILINE)
    assert text.endswith("0 artifacts differ from the plan by code alone")


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"code": None}, "made before code was recorded, so that nobody can tell what has changed"),
        ({"format": 0}, "its files are of another format"),
    ],
)
def test_what_nobody_can_compare_is_not_kept(plan, more, reason):
    _make(plan())
    _make(plan(), "train", **more)
    made = plan(CODES)
    every = _follow(made)
    assert every.kept == {}
    assert re.search(
        rf"train: \d+ cannot be kept: {reason}", adoption.report(made, adoption.Shelf(made.config.results), every, "")
    )


def test_an_artifact_without_all_of_its_files_cannot_stand_for_another(plan, tmp_path):
    _make(plan())
    adoption.keep(plan(CODES), _follow(plan(CODES), "train"))
    made = plan(CODES)
    first = next(node for node in made.nodes.values() if node.stage == "train")
    (tmp_path / first.folder / "state.safetensors").unlink()
    again = plan(CODES)
    assert first.key not in again.nodes
    assert {node.stage for node in again.nodes.values() if not adopted.is_there(tmp_path, node.folder)} >= {"train", "prune"}


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ("trian", "stage to keep must be one of .*, got 'trian'; did you mean 'train'"),
        ("prune", "stage to keep must have artifacts that differ by code alone, got none of prune"),
    ],
)
def test_a_stage_without_anything_to_keep_is_refused(plan, stage, message):
    _make(plan())
    with pytest.raises(ValueError, match=message):
        adoption.check_stages(_follow(plan(CODES)), [stage])


@pytest.mark.parametrize(
    "text",
    ["{", "[1]", '[{"key": "x"}]', "{}x", '[{"key": "%s", "folder": "../x", "made_by": "", "counts_for": "", "since": ""}]'],
)
def test_a_damaged_record_is_refused_by_name(tmp_path, text):
    artifacts.write_text(tmp_path / adopted.FILE, text)
    with pytest.raises(ValueError, match=r"record .*adopted\.json must be what adopt wrote, got: "):
        adopted.there(tmp_path)


def test_the_report_says_which_definitions_differ(plan, tmp_path, monkeypatch):
    old, new = (known_code.Sources(fingerprint.FORMAT, (known_code.Definition("m", "LIMIT", d, f"LIMIT = {d}"),)) for d in "12")
    monkeypatch.setattr(known_code, "read", lambda results: {nodes.stage_code("train", node.spec): old for node in trained})
    monkeypatch.setattr(known_code, "of", lambda stage, named: new)
    before = plan()
    trained = [node for node in before.nodes.values() if node.stage == "train"]
    _make(before)
    known = known_code.read(tmp_path)
    monkeypatch.setattr(known_code, "read", lambda results: known)
    made = plan(CODES)
    text = adoption.report(made, adoption.Shelf(tmp_path), _follow(made), "adopt config.yaml")
    assert "changed: m.LIMIT (of train)\n--- before: m.LIMIT\n+++ now: m.LIMIT\n@@ -1 +1 @@\n-LIMIT = 1\n+LIMIT = 2\n" in text
    assert text.endswith("    adopt config.yaml --keep train")


def test_under_strict_only_what_was_made_in_this_environment_is_offered(plan, tmp_path):
    strict = {}
    for processor in ("here", "elsewhere"):
        before = plan()
        strict[processor] = replace(before.config, environment="strict", results=tmp_path / processor)
        made = planning.make_plan(strict[processor])
        own = processor == "here"
        _make(made, processor=made.place.processor if own else "another", versions=made.place.versions)
    plan(CODES)
    kept = {name: _kept(adoption.follow(planning.make_plan(c), adoption.Shelf(c.results))) for name, c in strict.items()}
    assert "train" in kept["here"]
    assert "train" not in kept["elsewhere"], "another processor computes other bits"
