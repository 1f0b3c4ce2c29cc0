from __future__ import annotations

import json
from typing import Any

import pytest
import toys

from pipeline_lib.planning import estimate, nodes
from pipeline_lib.planning.declared import STAGES
from pipeline_lib.planning.footprint import Size
from pipeline_lib.store import artifacts, environment


@pytest.fixture
def made(tmp_path) -> nodes.Plan:
    return toys.make_plan(toys.raw_config(tmp_path, figures=["paths_dense", "instability_dense"]))


def _row(report: str, stage: str) -> list[str]:
    return next(line.split() for line in report.splitlines() if line.startswith(stage))


def _no_calibration(*args: Any) -> tuple[float, float]:
    raise AssertionError("a record was there")


def _record(made: nodes.Plan, seconds_a_unit: float) -> None:
    """Leave the record of one job of each kind that reads a task."""
    for stage, units in (("pretrain", 4), ("interpolate", 3 * 2)):
        node = [n for n in made.nodes.values() if n.stage == stage][-1]
        results, name = made.config.results, node.folder.rpartition("/")[2]
        artifacts.write_text(results / node.folder / "spec.json", json.dumps({"spec": node.spec}))
        work = units if stage == "interpolate" else node.spec["k"]
        artifacts.write_text(results / "benchmarks" / stage / f"{name}.tsv", f"s\th:m:s\n{work * seconds_a_unit}\t-\n")


def test_an_unmeasured_task_is_calibrated_once(made):
    asked = []

    def calibrate(task: dict[str, Any], root: object) -> tuple[float, float]:
        asked.append(task["name"])
        return 3600.0, 1800.0

    report = estimate.report(made, calibrate)
    assert asked == ["toy"]
    # 8 runs less k, 40 steps; 4 pairs x 3 alphas x 2 splits
    assert _row(report, "train") == ["train", "8", "0", "40.00"]
    assert _row(report, "interpolate")[-1] == "12.00"
    assert "a short calibration of toy" in report


def test_records_of_earlier_jobs_come_first(made):
    _record(made, 3600.0)
    report = estimate.report(made, _no_calibration)
    assert _row(report, "train")[-1] == "40.00"
    assert _row(report, "interpolate")[-1] == "24.00"
    assert "records of earlier jobs" in report


def test_jobs_of_another_processor_count_only_where_there_are_none_of_this_one(made, monkeypatch):
    results = made.config.results
    _record(made, 3600.0)
    for path in results.glob("artifacts/*/*/spec.json"):
        artifacts.write_text(path, json.dumps(json.loads(path.read_text()) | {"processor": "theirs"}))
    monkeypatch.setenv(environment.NAME, "theirs")
    assert estimate.report(made, _no_calibration).endswith("by records of earlier jobs")
    monkeypatch.setenv(environment.NAME, "mine")
    report = estimate.report(made, _no_calibration)
    assert _row(report, "train")[-1] == "40.00"
    assert report.endswith("by records of earlier jobs, some of them another processor's")
    node = next(each for each in made.nodes.values() if each.stage == "train")
    artifacts.write_text(results / node.folder / "spec.json", json.dumps({"spec": node.spec, "processor": "mine"}))
    work = estimate.work_of("train", node.spec)
    artifacts.write_text(results / "benchmarks/train" / f"{node.folder.rpartition('/')[2]}.tsv", f"s\n{work * 1800}\n")
    assert _row(estimate.report(made, _no_calibration), "train")[-1] == "20.00"


def test_small_jobs_do_not_tell_how_fast_large_ones_are(made):
    # Start-up is most of a small job: 1.2 seconds a step at k = 0 where 5 x 350 steps took 0.01 each.
    pretrained = [n for n in made.nodes.values() if n.stage == "pretrain"]
    trained = next(n for n in made.nodes.values() if n.stage == "train")
    for node, seconds in [(each, 100.0) for each in pretrained] + [(trained, 0.5)]:
        name = node.folder.rpartition("/")[2]
        artifacts.write_text(made.config.results / node.folder / "spec.json", json.dumps({"spec": {**node.spec, "k": 0}}))
        artifacts.write_text(made.config.results / "benchmarks" / node.stage / f"{name}.tsv", f"s\n{seconds}\n")
    rates = estimate.rates_of(made.config.results)
    work = estimate.work_of("train", trained.spec)
    assert rates[estimate.kind_of("train", trained.spec)] == 0.5 / work


@pytest.mark.parametrize("stage", [stage.name for stage in STAGES.values() if stage.rate is None])
def test_jobs_that_mostly_start_have_hours_without_any_record(stage, tmp_path):
    assert estimate.rates_of(tmp_path)[estimate.kind_of(stage, {"task": toys.task()})] == STAGES[stage].seconds


def test_the_report_tells_what_sharing_saves(made):
    report = estimate.report(made, lambda task, root: (0.0, 0.0))
    assert "training runs: 12 asked for figure by figure, 8 after sharing, 4 saved" in report
    assert "training steps: 64 asked for, 40 after sharing, 24 saved" in report


def test_what_exists_is_not_counted_again(made):
    node = next(n for n in made.nodes.values() if n.stage == "train")
    for name in node.files()[:-1]:
        artifacts.write_text(made.config.results / name, "x")
    assert not estimate.is_made(made, node)
    artifacts.write_text(made.config.results / node.files()[-1], "x")
    assert estimate.is_made(made, node)
    assert _row(estimate.report(made, lambda task, root: (1.0, 1.0)), "train")[1:3] == ["8", "1"]


def test_hours_that_nothing_tells_are_unknown_and_nothing_is_trained_for_them(made):
    report = estimate.report(made)
    assert _row(report, "train") == ["train", "8", "0", "unknown"]
    assert report.endswith("time left: unknown, since no earlier job tells how fast toy is; --calibrate measures it")


@pytest.mark.parametrize(("entries", "fits"), [(10, True), (10**15, False)])
def test_the_report_tells_what_it_takes_on_disk_and_whether_that_is_there(made, entries, fits):
    line = next(
        line for line in estimate.report(made, sized=lambda task: Size(entries, 0)).splitlines() if line.startswith("disk")
    )
    number = sum(len(node.files()) + 2 for node in made.nodes.values() if node.stage != "prepare")
    assert f" GB in {number} files without data sets, " in line
    assert line.endswith("MORE THAN IS FREE THERE") is not fits
