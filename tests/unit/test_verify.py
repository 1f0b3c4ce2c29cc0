from __future__ import annotations

import json

import pytest

from pipeline_lib import artifacts, verify
from pipeline_lib.__main__ import main


@pytest.fixture
def results(tmp_path):
    for name, content in (("prune/a-000000000000", "x"), ("train/b-000000000000", "y")):
        folder = tmp_path / "artifacts" / name
        artifacts.write_text(folder / "file", content)
        artifacts.write_text(folder / "kept", content)
        artifacts.write_text(folder / "spec.json", json.dumps({"sha256": verify.digests(folder)}))
    return tmp_path


def test_untouched_artifacts_have_no_fault(results):
    assert verify.verify(results) == (2, [])
    assert main(["verify", str(results)]) == 0


def test_hidden_files_and_the_record_are_not_content(results):
    artifacts.write_text(results / "artifacts/prune/a-000000000000/.resume.safetensors", "z")
    assert verify.verify(results) == (2, [])


@pytest.mark.parametrize(
    ("break_it", "fault"),
    [
        (lambda folder: (folder / "file").write_text("X"), "file is not what was written"),
        (lambda folder: (folder / "file").write_text(""), "file is not what was written"),
        (lambda folder: (folder / "kept").unlink(), "kept is gone"),
        (lambda folder: (folder / "spec.json").unlink(), "no spec.json, its job did not end"),
        (lambda folder: (folder / "spec.json").write_text("{"), "spec.json is damaged, or older than digests"),
        (lambda folder: (folder / "spec.json").write_text("{}"), "spec.json is damaged, or older than digests"),
    ],
)
def test_a_damaged_artifact_is_named(results, capsys, break_it, fault):
    folder = results / "artifacts/train/b-000000000000"
    break_it(folder)
    assert verify.verify(results) == (2, [f"{folder}: {fault}"])
    assert main(["verify", str(results)]) == 1
    told = capsys.readouterr()
    assert f"{folder}: {fault}" in told.out
    assert "error: artifacts must be what their jobs wrote, got 1 fault in 2; remove these folders and run again" in told.err


def test_nothing_there_is_nothing_wrong(tmp_path):
    assert verify.verify(tmp_path) == (0, [])
