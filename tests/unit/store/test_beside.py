"""Jobs that share a process: what each one's command and log is told."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from pipeline_lib.store import beside
from pipeline_lib.store.job import at_work, log


@pytest.fixture
def one(tmp_path: Path) -> Path:
    return tmp_path / "train" / "one-0123456789ab"


@pytest.fixture
def other(tmp_path: Path) -> Path:
    return tmp_path / "train" / "other-0123456789ab"


@pytest.fixture
def heard(monkeypatch, tmp_path: Path) -> int:
    """Where the worker hears; logs are files."""
    reads, writes = os.pipe()
    logs = [os.open(tmp_path / f"{name}.log", os.O_WRONLY | os.O_CREAT) for name in ("one", "other")]
    monkeypatch.setenv(beside.VARIABLE, " ".join(map(str, [writes, *logs])))
    return reads


def test_a_process_of_one_job_is_none_of_several(monkeypatch, one):
    monkeypatch.delenv(beside.VARIABLE, raising=False)
    assert beside.found([one]) is None


def test_a_log_has_what_concerns_its_job(monkeypatch, heard, one, other, tmp_path):
    shared = beside.found([one, other])
    assert shared
    assert beside.VARIABLE not in os.environ, "what the process starts is none of its jobs"
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    shared.show()
    with at_work(one):
        log.warning("read")
        with at_work(other):
            log.warning("deeper")
        log.warning("read more")
    log.warning("step", extra={"job": other})
    log.warning("slower")
    shared.end(other, ValueError("two\nlines"))
    shared.end(one, None)
    logs = [(tmp_path / f"{name}.log").read_text(encoding="utf-8").splitlines() for name in ("one", "other")]
    told = [[line.partition(" ")[2] for line in lines if "jobs share process" not in line] for lines in logs]
    assert told == [["read", "read more", "slower"], ["deeper", "step", "slower", "two lines"]]
    assert logs[1][-1] == "error: two lines"
    assert os.read(heard, 100) == b"1 1\n0 0\n"


def test_the_end_of_a_job_is_told_to_a_worker_that_is_gone_without_harm(heard, one, other):
    shared = beside.found([one, other])
    os.close(heard)
    shared.end(one, None)
