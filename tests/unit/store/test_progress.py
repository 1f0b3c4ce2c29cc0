"""What jobs tell of how far they are: from their log calls, into files that go with them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline_lib.core.pace import Pace
from pipeline_lib.store import processes, progress
from pipeline_lib.store.job import Preempted, log

NAME = "toy-k0-0123456789ab"
ROWS = [{"step": 5, "split": "test", "error": 0.25}, {"step": 6, "split": "batch", "error": 0.5}]


@pytest.fixture(autouse=True)
def as_in_a_job(caplog):
    caplog.set_level("INFO")


def _folder(results: Path) -> Path:
    return results / "artifacts" / "train" / NAME


def _files(results: Path) -> list[Path]:
    return sorted((results / progress.FOLDER).iterdir())


def test_a_job_is_seen_while_it_works_and_how_far_it_is_when_it_logs_that(tmp_path):
    with progress.told(_folder(tmp_path)):
        (found,) = progress.going(tmp_path)
        assert (found.stage, found.name, found.process, found.who, found.total) == ("train", NAME, os.getpid(), "", 0)
        pace = Pace(10)
        pace.done = 7
        log.info("some words of no consequence")
        log.info("step", extra={"who": "seed 0", "pace": pace, "loss": 0.5, "rows": ROWS})
        (found,) = progress.going(tmp_path)
        assert (found.who, found.done, found.total, found.loss, found.error) == ("seed 0", 7, 10, 0.5, 0.25)
        log.info("step", extra={"who": "seed 1", "pace": pace, "loss": float("nan"), "rows": [{"step": 1, "test_error": 0.75}]})
        (found,) = progress.going(tmp_path)
        assert (found.who, found.loss, found.error) == ("seed 1", None, 0.75)
        json.loads(_files(tmp_path)[0].read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert _files(tmp_path) == []
    log.info("step", extra={"who": "seed 0", "pace": pace})
    assert _files(tmp_path) == []


@pytest.mark.parametrize("error", [ValueError, Preempted, KeyboardInterrupt])
def test_a_job_that_fails_or_is_stopped_is_no_longer_seen(tmp_path, error):
    with pytest.raises(error), progress.told(_folder(tmp_path)):
        raise error
    assert _files(tmp_path) == []


def test_what_a_killed_job_left_is_ignored(tmp_path):
    code = "import os, signal, sys; from pathlib import Path; from pipeline_lib.store import progress\n"
    code += "with progress.told(Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)"
    subprocess.run([sys.executable, "-c", code, str(_folder(tmp_path))], check=False)
    assert len(_files(tmp_path)) == 1
    assert progress.going(tmp_path) == []


@pytest.mark.parametrize(("silent", "seen"), [(processes.SILENT_AFTER / 2, 1), (2 * processes.SILENT_AFTER, 0)])
def test_a_job_of_another_machine_is_seen_as_long_as_it_renews_its_file(tmp_path, silent, seen):
    with progress.told(_folder(tmp_path)):
        (path,) = _files(tmp_path)
        path.write_text(json.dumps(json.loads(path.read_text()) | {"machine": "elsewhere"}))
        then = path.stat().st_mtime - silent
        os.utime(path, (then, then))
        assert len(progress.going(tmp_path)) == seen


def test_a_file_that_cannot_be_written_or_read_disturbs_nobody(tmp_path):
    (tmp_path / "logs").write_text("no folder")
    with progress.told(_folder(tmp_path)):
        log.info("step", extra={"pace": Pace(1)})
    (tmp_path / "logs").unlink()
    (tmp_path / progress.FOLDER).mkdir(parents=True)
    for name, text in {"a": "torn", "b": "{}", "c": '{"stage": "train"}'}.items():
        (tmp_path / progress.FOLDER / f"{name}.json").write_text(text)
    assert progress.going(tmp_path) == []


def test_of_what_is_no_artifact_nothing_is_told(tmp_path):
    with progress.told(tmp_path / "elsewhere"):
        assert progress.going(tmp_path) == []
    assert list(tmp_path.iterdir()) == []
