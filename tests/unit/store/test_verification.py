from __future__ import annotations

import json
import shutil

import pytest

from pipeline_lib.__main__ import main
from pipeline_lib.store import artifacts, verification

DAMAGED = "record {record} must be what its job wrote, got a damaged file"


@pytest.fixture
def results(tmp_path):
    for name, content in (("prune/a-000000000000", "x"), ("train/b-000000000000", "y")):
        folder = tmp_path / "artifacts" / name
        artifacts.write_text(folder / "file", content)
        artifacts.write_text(folder / "kept", content)
        artifacts.write_text(folder / "spec.json", json.dumps({"key": "0" * 12, "sha256": verification.digests(folder)}))
    return tmp_path


def test_untouched_artifacts_have_no_fault(results):
    assert verification.verify(results) == (2, [])
    assert main(["verify", str(results)]) == 0


def test_hidden_files_and_the_record_are_not_content(results):
    artifacts.write_text(results / "artifacts/prune/a-000000000000/.resume.safetensors", "z")
    assert verification.verify(results) == (2, [])


@pytest.mark.parametrize(
    ("break_it", "fault"),
    [
        (lambda folder: (folder / "file").write_text("X"), "file is not what was written"),
        (lambda folder: (folder / "file").write_text(""), "file is not what was written"),
        (lambda folder: (folder / "kept").unlink(), "kept is gone"),
        (lambda folder: (folder / "spec.json").write_text("{"), DAMAGED),
        (lambda folder: (folder / "spec.json").write_text("{}"), DAMAGED),
        (
            lambda folder: (folder / "spec.json").write_text('{"sha256": {}, "key": "another"}'),
            "record {record} must belong to its folder, got the record of node another",
        ),
    ],
)
def test_a_damaged_artifact_is_named(results, capsys, break_it, fault):
    folder = results / "artifacts/train/b-000000000000"
    break_it(folder)
    fault = f"{folder}: {fault.format(record=folder / 'spec.json')}"
    number, (line,) = verification.verify(results)
    assert (number, line.partition(";")[0]) == (2, fault)
    assert main(["verify", str(results)]) == 1
    told = capsys.readouterr()
    assert fault in told.out
    assert "error: artifacts must be what their jobs wrote, got 1 fault in 2; remove these folders and run again" in told.err


def test_all_of_one_artifact_in_the_folder_of_another_is_a_fault(results):
    """As after `cp a/* b/`: files and record fit each other."""
    other = results / "artifacts/train/c-111111111111"
    shutil.copytree(results / "artifacts/train/b-000000000000", other)
    (line,) = verification.verify(results)[1]
    assert line.startswith(f"{other}: record {other / 'spec.json'} must belong to its folder, got the record of node 00000")


def test_a_folder_that_leads_to_another_artifact_is_a_fault(results):
    link = results / "artifacts/train/c-111111111111"
    link.symlink_to(results / "artifacts/train/b-000000000000")
    assert len(verification.verify(results)[1]) == 1
    link.unlink()
    moved = results / "elsewhere"
    (results / "artifacts/train/b-000000000000").rename(moved)
    (results / "artifacts/train/b-000000000000").symlink_to(moved)
    assert verification.verify(results) == (2, [])


def test_a_folder_whose_job_has_not_ended_is_not_to_be_removed(results, capsys):
    begun, stopped = results / "artifacts/train/c-111111111111", results / "artifacts/train/b-000000000000"
    begun.mkdir()
    (begun / ".resume.safetensors").write_text("half")
    (stopped / "spec.json").unlink()
    assert verification.unfinished(results) == [stopped, begun]
    assert main(["verify", str(results)]) == 0
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        f"{stopped}: still being made or interrupted; a run makes it again",
        f"{begun}: still being made or interrupted; a run makes it again",
        "3 artifacts checked",
    ]
    assert "remove" not in told.out + told.err


def test_what_a_terminal_obeys_is_not_printed(results, capsys):
    odd = results / "artifacts/train/\x1b[31mred-000000000000"
    (results / "artifacts/train/b-000000000000").rename(odd)
    (odd / "kept").rename(odd / "\x1b]0;title\x07")
    assert main(["verify", str(results)]) == 1
    told = capsys.readouterr()
    assert "\x1b" not in told.out + told.err
    assert r"\x1b[31mred-000000000000: kept is gone" in told.out


def test_nothing_there_is_nothing_wrong(tmp_path):
    assert verification.verify(tmp_path) == (0, [])
