from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

import pytest
import toys

from pipeline_lib import __main__ as command
from pipeline_lib.planning import declared, driver, nodes
from pipeline_lib.stages.support import training
from pipeline_lib.store import artifacts, resumption
from pipeline_lib.tables import tabulation


def _plan(results: Path) -> tuple[nodes.Plan, nodes.Node, Path]:
    """A plan whose stages up to its training job are made."""
    raw = toys.raw_config(results, seeds=3, orders=1, rewind=[2], levels=0, figures=["learning_curves"])
    made = toys.make_plan(raw | {"per_job": {"seeds": 3}})
    plan_file = driver.write_plan(made, [])
    for node in made.nodes.values():
        if node.stage in ("prepare", "pretrain"):
            driver.run_node(node.stage, results / node.folder, plan_file)
    return made, next(node for node in made.nodes.values() if node.stage == "train"), plan_file


def _train(made: nodes.Plan, node: nodes.Node, plan_file: Path) -> int:
    return command.main(["train", str(made.config.results / node.folder), "--plan", str(plan_file)])


def _content(made: nodes.Plan, node: nodes.Node):
    folder = made.config.results / node.folder
    arrays, meta = artifacts.read_arrays(folder / "state.safetensors")
    frames = [tabulation.read(folder / name).to_dict("list") for name in ("runs.parquet", "curves.parquet")]
    return {name: array.tobytes() for name, array in arrays.items()}, meta, repr(frames)


@pytest.fixture
def steps(monkeypatch):
    """Counts training steps; `at` sends this process a SIGTERM after so many."""
    counted = Counter(steps=0)
    report = training.Reporter.__call__

    def counting(self, progress):
        counted["steps"] += 1
        if counted["steps"] == counted["at"]:
            os.kill(os.getpid(), signal.SIGTERM)
        report(self, progress)

    monkeypatch.setattr(training.Reporter, "__call__", counting)
    return counted


@pytest.mark.parametrize("at", [1, 4, 5, 9])
def test_a_job_that_is_told_to_stop_goes_on_to_the_same_files(at, steps, tmp_path):
    whole = _plan(tmp_path / "whole")
    assert _train(*whole) == 0
    stopped = _plan(tmp_path / "stopped")
    folder = stopped[0].config.results / stopped[1].folder
    steps.update(at=steps["steps"] + at)
    begun = steps["steps"]
    handler = signal.getsignal(signal.SIGTERM)
    assert _train(*stopped) == command.STOPPED
    assert signal.getsignal(signal.SIGTERM) is handler
    assert [path.name for path in folder.iterdir()] == [resumption.NAME]
    done = steps["steps"] - begun
    assert at <= done <= at + 2
    assert _train(*stopped) == 0
    assert steps["steps"] - begun <= 12 + 2
    assert {path.name for path in folder.iterdir()} == {*declared.STAGES["train"].files, "spec.json"}
    assert _content(*stopped[:2]) == _content(*whole[:2])


@pytest.fixture
def told_at_its_end(steps, tmp_path):
    """A plan whose training was made, and the same elsewhere, whose training is told to stop at its last report."""
    whole = _plan(tmp_path / "whole")
    before = steps["steps"]
    assert _train(*whole) == 0
    trained = steps["steps"] - before
    stopped = _plan(tmp_path / "stopped")
    steps.update(at=steps["steps"] + trained)
    return whole, stopped


def test_a_job_that_is_told_to_stop_when_all_is_done_ends_well(told_at_its_end, steps):
    whole, stopped = told_at_its_end
    assert _train(*stopped) == 0
    assert steps["steps"] == steps["at"]
    assert _content(*stopped[:2]) == _content(*whole[:2])


def test_no_other_job_begins_after_one_that_was_told_to_stop(told_at_its_end, steps):
    _, (made, _, plan_file) = told_at_its_end
    assert command.main(["make", str(plan_file)]) == command.STOPPED
    folders = [made.config.results / each.folder for each in made.nodes.values()]
    assert {folder.parent.name for folder in folders if folder.exists()} == {"prepare", "pretrain", "train"}
    assert command.main(["make", str(plan_file)]) == 0
    assert steps["steps"] == steps["at"]
    assert all(folder.is_dir() for folder in folders)


@pytest.mark.parametrize("content", [b"", b"not a file of ours", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_a_resume_file_that_cannot_be_used_is_left_aside(content, tmp_path, caplog):
    caplog.set_level("INFO")
    made, node, plan_file = _plan(tmp_path)
    folder = tmp_path / node.folder
    folder.mkdir(parents=True)
    (folder / resumption.NAME).write_bytes(content)
    assert _train(made, node, plan_file) == 0
    assert "starting anew, what was kept cannot be used" in caplog.text
    assert not (folder / resumption.NAME).exists()
