from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time

import pytest

from pipeline_lib.store import lease, processes
from pipeline_lib.store.lease import Lease

HOLD = "import sys, time; from pathlib import Path; from pipeline_lib.store.lease import Lease; "
HOLD += "Lease(Path(sys.argv[1]), Path('elsewhere')); print('held', flush=True); time.sleep(60)"


def _refused(results, who):
    words = (
        rf"results folder {results} must be worked in by one run at a time, got {who}; wait until it has ended, or set another"
    )
    return pytest.raises(ValueError, match=words)


@pytest.fixture
def other(tmp_path):
    """A process of another checkout that works in the folder."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_one_process_at_a_time(tmp_path):
    first = Lease(tmp_path, tmp_path / "checkout")
    with _refused(tmp_path, rf"process {os.getpid()} on \S+, started from .*checkout at [\d-]+ [\d:]+"):
        Lease(tmp_path, tmp_path)
    first.release()
    first.release()
    assert lease.holder(tmp_path) is None
    Lease(tmp_path, tmp_path).release()


def test_a_folder_is_held_while_a_block_runs_and_let_go_of_if_it_fails(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def fail() -> None:
        with lease.held(tmp_path / "results"):
            assert lease.holder(tmp_path / "results").checkout == str(tmp_path)
            with _refused(tmp_path / "results", rf"process {os.getpid()} on .+"), lease.held(tmp_path / "results"):
                pass
            assert lease.holder(tmp_path / "results") is not None
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        fail()
    assert lease.holder(tmp_path / "results") is None


def test_a_holder_that_was_killed_is_recognised_at_once(tmp_path, other):
    with _refused(tmp_path, rf"process {other.pid} on \S+, started from elsewhere at .+"):
        Lease(tmp_path, tmp_path)
    other.kill()
    other.wait()
    assert lease.holder(tmp_path) is None
    Lease(tmp_path, tmp_path).release()


def test_a_process_that_has_the_number_of_one_that_ended_is_another(tmp_path, other):
    path = tmp_path / lease.FILE
    facts = json.loads(path.read_text())
    path.write_text(json.dumps(facts | {"begun": "1"}))
    assert lease.holder(tmp_path) is None


@pytest.mark.parametrize(("silent", "held"), [(processes.SILENT_AFTER / 2, True), (2 * processes.SILENT_AFTER, False)])
def test_a_holder_on_another_machine_is_there_while_it_renews(tmp_path, other, silent, held):
    path = tmp_path / lease.FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | {"machine": "another", "process": 1}))
    os.utime(path, (time.time() - silent,) * 2)
    assert (lease.holder(tmp_path) is not None) is held


def test_a_lease_is_renewed_while_it_is_held_and_not_after_it_was_taken_over(tmp_path, monkeypatch):
    monkeypatch.setattr(lease, "RENEWED_EVERY", 0.01)
    own, path = Lease(tmp_path, tmp_path), tmp_path / lease.FILE
    os.utime(path, (1e9, 1e9))
    deadline = time.monotonic() + 30
    while path.stat().st_mtime == 1e9 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert path.stat().st_mtime > 1e9
    path.write_text(re.sub(r'"token": "\w+"', '"token": "another"', path.read_text()))
    own.release()
    assert path.is_file(), "another's lease stays"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"machine": 1}', "\xff"])
def test_a_damaged_lease_stops_nobody(tmp_path, content):
    (tmp_path / lease.FILE).parent.mkdir()
    (tmp_path / lease.FILE).write_bytes(content.encode("latin-1"))
    Lease(tmp_path, tmp_path).release()
