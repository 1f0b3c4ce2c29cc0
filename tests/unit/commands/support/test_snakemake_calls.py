"""Calls of Snakemake: words, signals, and what is read off its log."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from pipeline_lib.commands.support import snakemake

SAID = """\
[Sun Nov 29 12:00:00 2026]
Error in rule train:
    message: None
    jobid: 7
    input: a.safetensors, b.json
    output: {gone}/state.safetensors, {gone}/spec.json
    log: {folder}/train.log (check log file(s) for error details)
    shell:
        false

[Sun Nov 29 12:00:01 2026]
Error in rule prune:
    jobid: 8
    output: {there}, {gone}/spec.json
    log: {folder}/prune.log (check log file(s) for error details)

Error in rule publish:
    output: {gone}/x.svg
    shell:
        false
"""


def test_overrides_are_words_that_snakemake_takes():
    found = snakemake.words(
        [Path("a.yaml"), Path("b.yaml")], {"results": "r", "experiments": {"x": {"levels": 3}}}, "--cores", "2"
    )
    assert found[:3] == [sys.executable, "-m", "snakemake"]
    given = ["--configfile", "a.yaml", "b.yaml", "--config", 'results="r"', 'experiments={"x": {"levels": 3}}', "--cores", "2"]
    assert found[-len(given) :] == given
    assert "--config" not in snakemake.words([Path("a.yaml")], {})


def test_jobs_that_failed_for_good_are_told(tmp_path):
    there = tmp_path / "mask"
    there.touch()
    failed = snakemake.failures(SAID.format(folder=tmp_path, gone=tmp_path / "gone", there=there))
    assert [(each.rule, each.log) for each in failed] == [("train", tmp_path / "train.log"), ("publish", None)]
    assert failed[0].output == f"{tmp_path}/gone/state.safetensors"


def test_of_a_log_the_last_lines_that_say_something_are_read(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"\n".join([b"x" * 2**17, b"one", b"", b"\xff two", b"  "]))
    assert snakemake.last_lines(path, 2) == ["one", "\ufffd two"]
    assert snakemake.last_lines(tmp_path / "none", 2) == []


WAIT = """
import os, signal, sys, time
def stop(which, _):
    print("got", which, flush=True)
    sys.exit(7)
for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(each, stop)
print("ready", os.getpgid(0) == os.getpid(), flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_signals_are_passed_on_and_the_exit_code_is_snakemakes(tmp_path, name):
    log, which = tmp_path / "log", getattr(signal, name)

    def look() -> None:
        if "ready True" in log.read_text() and "got" not in log.read_text():
            os.kill(os.getpid(), which)
            time.sleep(0.05)

    before = signal.getsignal(which)
    if before is signal.SIG_IGN:  # as of what a shell starts in the background, or nohup: then it is not passed on
        pytest.skip(f"{name} is ignored here")
    assert snakemake.run([sys.executable, "-c", WAIT], log, look, 0.05) == 7
    got = signal.SIGINT if name == "SIGHUP" else which  # Snakemake leaves its lock at the former
    assert f"got {int(got)}" in log.read_text()
    assert signal.getsignal(which) is before


def test_a_process_that_is_killed_has_a_shells_exit_code(tmp_path):
    code = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert snakemake.run([sys.executable, "-c", code], tmp_path / "log", lambda: None) == 137


def test_configs_as_json_are_read_back_the_same():
    value = {"a": [0, 1], "b": {"name": "x"}, "c": None, "d": True, "e": "2ep"}
    (word,) = [word for word in snakemake.words([Path("a.yaml")], {"k": value}) if word.startswith("k=")]
    assert json.loads(word.partition("=")[2]) == value
