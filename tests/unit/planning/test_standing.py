"""Where a run stands: from records, progress files and what earlier jobs took."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest
import toys

from pipeline_lib.planning import driver, estimate, nodes, standing
from pipeline_lib.store import progress
from pipeline_lib.store.job import log


@pytest.fixture
def made(tmp_path) -> nodes.Plan:
    return toys.make_plan(toys.raw_config(tmp_path, figures=["paths_dense", "instability_dense"]))


@pytest.fixture
def path(made) -> Path:
    return driver.write_plan(made, [])


def _finish(made: nodes.Plan, *stages: str) -> None:
    for node in made.nodes.values():
        if node.stage in stages:
            (made.config.results / node.folder).mkdir(parents=True, exist_ok=True)
            (made.config.results / node.folder / "spec.json").write_text("{}")


def _time_jobs(made: nodes.Plan, monkeypatch, seconds: float) -> None:
    """Say that a unit of any work takes so long."""
    kinds = {estimate.kind_of(node.stage, node.spec): seconds for node in made.nodes.values()}
    monkeypatch.setattr(estimate, "rates_of", lambda results: kinds)


def test_what_is_made_is_counted_by_stage(made, path):
    watch = standing.Watch(path)
    before = watch.look()
    assert before.stages["train"] == (0, 8)
    assert (before.done, before.total) == (0, len(made.nodes))
    _finish(made, "prepare", "train")
    after = watch.look()
    assert (after.stages["prepare"], after.stages["train"], after.stages["interpolate"]) == ((1, 1), (8, 8), (0, 4))
    assert after.done == 9
    assert after.holder == ""


def test_hours_left_are_the_work_of_what_is_missing(made, path, monkeypatch):
    _time_jobs(made, monkeypatch, 36.0)
    _finish(made, "prepare")
    left = standing.Watch(path).look().hours_left
    work = sum(estimate.work_of(node.stage, node.spec) for node in made.nodes.values() if node.stage != "prepare")
    assert math.isclose(left, 0.01 * work)


def test_where_no_job_has_ended_the_speed_of_those_that_train_tells_the_time(made, path, monkeypatch, caplog):
    caplog.set_level("INFO")
    trained = next(node for node in made.nodes.values() if node.stage == "train")
    kinds = {estimate.kind_of(n.stage, n.spec): 0.0 for n in made.nodes.values()}
    del kinds[estimate.kind_of("train", trained.spec)]
    monkeypatch.setattr(estimate, "rates_of", lambda results: kinds)
    watch = standing.Watch(path)
    assert math.isnan(watch.look().hours_left)
    steps = sum(estimate.work_of(n.stage, n.spec) for n in made.nodes.values() if n.stage in ("train", "pretrain"))
    with progress.told(made.config.results / trained.folder):
        pace = type("Pace", (), {"done": 1, "total": 6, "speed": 0.5, "left": 10.0})()
        log.info("", extra={"who": "seed 0", "pace": pace})
        seen = watch.look()
        assert [each.name for each in seen.going] == [trained.folder.rpartition("/")[2]]
        assert math.isclose(seen.hours_left, steps * 2 / 3600)


def test_the_last_plan_is_that_of_the_run_that_began_last(made, path):
    other = path.with_name("0123.jsonl")
    other.write_text(path.read_text())
    os.utime(path, (1, 1))
    assert standing.last_plan(made.config.results) == other
    driver.plan_file.Written(path).mark_begun()
    os.utime(other, (1, 1))
    assert standing.last_plan(made.config.results) == path
    with pytest.raises(ValueError, match="results folder must have the plan of a run, got none"):
        standing.last_plan(path.parent)


def test_a_damaged_plan_is_refused(path):
    path.write_text(path.read_text()[:-20])
    with pytest.raises(ValueError, match=r"plan .* must be whole"):
        standing.Watch(path)
    path.write_text(json.dumps({"no": "plan"}) + "\n{}\n")
    with pytest.raises(ValueError, match=r"plan .* must be whole"):
        standing.Watch(path)


@pytest.mark.parametrize(
    ("seconds", "words"),
    {3.2: "3 s", 98.0: "98 s", 100.0: "2 min", 5939.0: "99 min", 7200.0: "2.0 h", math.nan: "unknown"}.items(),
)
def test_times_are_worded(seconds, words):
    assert standing.duration(seconds) == words
