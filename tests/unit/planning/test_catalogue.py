"""What there is, by kind, and one thing in full."""

from __future__ import annotations

import json
import math

import pandas as pd
import pytest

from pipeline_lib.core import registry
from pipeline_lib.experiments import config
from pipeline_lib.planning import catalogue, declared, details
from pipeline_lib.store import artifacts

KEY = "0123456789ab"


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A results folder with a table of runs and one of claims, and the artifact of a run."""
    monkeypatch.setattr(catalogue.tabulation, "read", pd.read_parquet)
    run = {
        "task": "toy",
        "kind": "dense",
        "k": 0,
        "level": 0,
        "seed": 0,
        "noise_order": 1,
        "change": "",
        "test_error": 0.5,
        "key": KEY,
    }
    (tmp_path / "small").mkdir()
    artifacts.write_rows(tmp_path / "small" / "runs.parquet", [run, run | {"seed": 1, "test_error": math.nan, "key": "f" * 12}])
    claim = {"claim": "a", "setting": "toy", "verdict": "holds", "measured": 1.0, "low": -math.inf, "high": 2.0, "unit": "points"}
    artifacts.write_rows(tmp_path / "small" / "claims.parquet", [claim, claim | {"verdict": "fails"}])
    folder = tmp_path / "artifacts" / "train" / f"toy-{KEY}"
    folder.mkdir(parents=True)
    record = {"key": KEY, "stage": "train", "label": "toy", "spec": {"k": 0}, "parents": {}, "sha256": {}}
    (folder / "spec.json").write_text(json.dumps(record))
    return tmp_path


@pytest.mark.parametrize("kind", [kind for kind in catalogue.LISTS if kind != "runs"])
def test_each_list_has_rows_of_one_shape(tmp_path, kind):
    rows = catalogue.listed(kind, tmp_path)
    assert rows
    assert {tuple(row) for row in rows} == {tuple(rows[0])}


@pytest.mark.parametrize("kind", catalogue.REGISTRIES)
def test_a_registry_is_listed_whole_with_what_each_function_says(kind, tmp_path):
    rows = catalogue.listed(kind, tmp_path)
    assert {row["name"] for row in rows} == set(registry.entries(kind))
    assert all(row["about"] for row in rows)


def test_options_are_those_that_a_config_may_say(tmp_path):
    found = {row["name"]: row["options"] for row in catalogue.listed("networks", tmp_path)}
    assert found["resnet_cifar"] == ["blocks: 3", "width: 16"]


def test_all_that_is_declared_is_listed(tmp_path):
    assert {row["table"] for row in catalogue.listed("tables", tmp_path)} == set(declared.COLUMNS)
    assert {row["task"] for row in catalogue.listed("tasks", tmp_path)} == set(config.task_files())
    assert "quickstart" in {row["experiment"] for row in catalogue.listed("experiments", tmp_path)}


def test_an_unknown_kind_is_refused_with_the_nearest_one(tmp_path):
    with pytest.raises(ValueError, match=r"what to list must be one of .*got 'network'; did you mean 'networks'\?"):
        catalogue.listed("network", tmp_path)


def test_runs_are_named_so_that_they_can_be_shown(results):
    rows = catalogue.listed("runs", results)
    assert [(row["row"], row["seed"], row["key"]) for row in rows] == [("small/runs:0", 0, KEY), ("small/runs:1", 1, "f" * 12)]
    shown = details.show(results, rows[1]["row"])
    assert shown["values"]["seed"] == 1
    assert shown["units"] == {"k": "steps"}
    assert "values.k: 0 steps" in details.lines(shown)
    assert "values.test_error: none" in details.lines(shown)


def test_an_artifact_is_shown_with_its_rows(results):
    for word in (KEY, KEY[:4], f"results/artifacts/train/toy-{KEY}"):
        shown = details.show(results, word)
        assert shown["rows"] == {"small/runs": 1}
        assert shown["record"]["stage"] == "train"


@pytest.mark.parametrize(
    ("word", "line"),
    {
        "lenet_mnist": "settings.batch_size: 60",
        "instability_sparse": "kind: figures",
        "resnet_cifar": "options: blocks: 3, width: 16",
        "onsets": "table: onsets",
        "prune": "kind: stages",
        "quickstart": "config: config/config.yaml",
    }.items(),
)
def test_what_a_config_may_name_is_shown(tmp_path, word, line):
    assert line in details.lines(details.show(tmp_path, word))


@pytest.mark.parametrize(
    ("word", "error"),
    {
        "small/runs:2": "row of small/runs must be below 2, got 2",
        "ffff": "key must be that of one artifact",
        "nothing such": "what to show must be a row such as",
    }.items(),
)
def test_what_there_is_not_is_refused(results, word, error):
    with pytest.raises(ValueError, match=error):
        details.show(results, word)


def test_verdicts_are_read_of_all_experiments_and_damaged_tables_left_out(results, monkeypatch):
    def read(path):
        if path.parent.name == "torn":
            raise ValueError("torn")
        return pd.read_parquet(path)

    monkeypatch.setattr(catalogue.tabulation, "read", read)
    (results / "torn").mkdir()
    (results / "torn" / "claims.parquet").touch()
    found = catalogue.judged(results)
    assert [(row["experiment"], row["verdict"]) for row in found] == [("small", "holds"), ("small", "fails")]


def test_where_all_tables_are_damaged_the_first_says_so(tmp_path):
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "claims.parquet").write_text("PAR")
    with pytest.raises(ValueError, match=r"claims\.parquet must be a whole Parquet file"):
        catalogue.judged(tmp_path)
