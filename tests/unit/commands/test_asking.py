"""Commands that list, show, watch and check, as words of a command line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import toys
import yaml

from pipeline_lib import commands
from pipeline_lib.commands import plans
from pipeline_lib.commands.support import health
from pipeline_lib.experiments.config import ROOT
from pipeline_lib.planning import driver
from pipeline_lib.store import lease, progress
from pipeline_lib.store.job import log


@pytest.fixture
def config(tmp_path) -> Path:
    written = tmp_path / "config.yaml"
    written.write_text(yaml.safe_dump(toys.raw_config(tmp_path / "results", figures=["paths_dense"], levels=0)))
    return written


def _read(capsys, *words: str):
    assert commands.main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    "words",
    [
        *(["run"], ["quickstart"], ["report"], ["status"], ["logs"], ["plan"], ["explain"], ["refine"], ["list"], ["show"]),
        *(["claims"], ["tasks"], ["settings"], ["schema"], ["gc"], ["adopt"], ["verify"], ["remake"], ["export"], ["doctor"]),
    ],
    ids=" ".join,
)
def test_the_help_of_each_command_has_an_example(words, capsys):
    assert commands.main([*words, "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert f"For example: rewind {words[0]}" in text


def test_no_command_lacks_a_test_of_its_help(capsys):
    assert commands.main(["--help"]) == 0
    listed = re.findall(r"^│ (\w+) ", capsys.readouterr().out.partition("Commands")[2], re.MULTILINE)
    parameters = test_the_help_of_each_command_has_an_example.pytestmark[0].args[1]
    assert sorted(listed) == sorted(words[0] for words in parameters)


def test_a_plan_as_json_measures_and_names_what_it_writes_where_told_to(config, capsys, monkeypatch):
    monkeypatch.setattr(plans, "_calibrate", lambda task, root: (3600.0, 0.0))
    assert _read(capsys, "plan", str(config))["core_hours_left"] is None
    found = _read(capsys, "plan", str(config), "--calibrate", "--write")
    assert found["core_hours_left"] > found["stages"]["train"]["hours_left"] > 0
    assert Path(found["file"]).name == f"{found['plan']}.jsonl"
    assert Path(found["file"]).is_file()


def test_a_version_is_said(capsys):
    assert commands.main(["--version"]) == 0
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (["plan"], "Missing argument"),
        (["plna"], "No such command 'plna'"),
        (["plan", "--no-such", "x.yaml"], "No such option: --no-such"),
        (["status", "--results"], "Option '--results' requires an argument"),
    ],
)
def test_wrong_words_have_one_line_and_exit_code_2(words, rule, capsys):
    assert commands.main(words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"error: {rule}")
    assert said.err.endswith("; see rewind --help\n")
    assert len(said.err.splitlines()) == 1


def test_without_words_the_help_is_shown(capsys):
    assert commands.main([]) == 2
    assert "Usage: rewind" in capsys.readouterr().out


def test_a_shell_completes_commands_and_kinds():
    for words, found in {"rewind cla": "claims", "rewind list netw": "networks"}.items():
        more = {"_REWIND_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
        command = [sys.executable, "-c", "from pipeline_lib import commands; commands.main()"]
        done = subprocess.run(command, env=os.environ | more, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
        assert done.stdout.split() == [found]


def test_lists_are_rows_for_scripts_and_columns_for_people(capsys):
    found = {row["name"]: row["options"] for row in _read(capsys, "list", "networks")}
    assert found["mlp"] == ["widths: [300, 100]"]
    assert commands.main(["list", "networks"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["name", "options", "about"]
    assert any(row.startswith("mlp ") for row in rows)
    assert {"kind": "networks"} in _read(capsys, "list")
    assert commands.main(["list", "network"]) == 1
    assert "did you mean 'networks'?" in capsys.readouterr().err


def test_an_error_of_the_system_says_which_file_and_what_to_do(tmp_path, capsys):
    (tmp_path / "logs" / "train" / "toy.log").mkdir(parents=True)
    assert commands.main(["logs", "toy", "--results", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert said.startswith(
        f"error: {tmp_path}/logs/train/toy.log must be a file or folder that can be used so, got: Is a directory; "
    )
    assert len(said.splitlines()) == 1


def test_a_list_of_runs_that_are_not_there_says_so(tmp_path, capsys):
    assert commands.main(["list", "runs", "--results", str(tmp_path)]) == 1
    assert "results folder must have tables of runs, got none" in capsys.readouterr().err


def test_a_task_is_shown(capsys):
    assert _read(capsys, "show", "lenet_mnist")["settings"]["batch_size"] == 60
    assert commands.main(["show", "lenet_mnist"]) == 0
    assert "settings.batch_size: 60" in capsys.readouterr().out.splitlines()


def test_a_plan_in_numbers_is_that_in_words(config, capsys):
    found = _read(capsys, "plan", str(config), "--set", "tiny.seeds=1")
    assert commands.main(["plan", str(config), "--set", "tiny.seeds=1"]) == 0
    words = capsys.readouterr().out
    for stage, each in found["stages"].items():
        assert re.search(rf"^{stage} +{each['nodes']} +{each['exist']} ", words, re.MULTILINE)
    assert f"{found['runs']['asked']} asked for figure by figure, {found['runs']['shared']} after sharing" in words
    assert found["core_hours_left"] is None, "nothing tells how fast the toy is"


def test_the_complete_config_is_printed(config, capsys):
    for command in ("plan", "run"):
        assert commands.main([command, str(config), "--set", "tiny.seeds=1", "--print-config"]) == 0
        text = capsys.readouterr().out
        assert "seeds: [0]  # --set" in text
        assert yaml.safe_load(text)["experiments"]["tiny"]["tasks"]["toy"]["seeds"] == [0]
    assert not (config.parent / "results").exists(), "nothing runs"


@pytest.fixture
def begun(config, monkeypatch):
    """A run that has made its data and trains."""
    made = driver.load([config])
    path = driver.write_plan(made, [config])
    results = made.config.results
    for node in made.nodes.values():
        if node.stage == "prepare":
            (results / node.folder).mkdir(parents=True)
            (results / node.folder / "spec.json").write_text("{}")
    return results, next(node for node in made.nodes.values() if node.stage == "train"), path


def test_status_says_what_is_made_and_what_is_worked_on(begun, capsys, caplog):
    caplog.set_level("INFO")
    results, node, path = begun
    with lease.held(results), progress.told(results / node.folder):
        pace = type("Pace", (), {"done": 3, "total": 6, "speed": 2.0, "left": 1.5})()
        log.info("", extra={"who": "seed 0 order 0", "pace": pace, "loss": 0.5, "rows": [{"split": "test", "error": 0.25}]})
        found = _read(capsys, "status", "--results", str(results))
        assert commands.main(["status", "--results", str(results)]) == 0
    said = capsys.readouterr().out
    assert found["stages"]["prepare"] == [1, 1]
    assert found["done"] == 1
    assert found["plan"] == path.stem
    assert found["going"][0]["name"] == node.folder.rpartition("/")[2]
    assert f"plan {path.stem}: 1 of {found['total']} artifacts are made" in said
    assert f"a run works on it: process {os.getpid()} on " in said
    doing = "seed 0 order 0, step 3/6, loss 0.5000, test accuracy 75.0%, 2 s left"
    assert f"now: train {node.label}, {doing}" in said
    assert commands.main(["status", "--results", str(results / "none")]) == 1


def test_logs_are_found_by_key_or_part_of_a_name(tmp_path, capsys):
    for name in ("train/toy-a-0123456789ab", "train/toy-b-ab0123456789", "runs/20260101-000000", "runs/20260102-000000"):
        path = tmp_path / "logs" / f"{name}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"this is {name}\x1b[2J\n")
    asked = {"0123456789ab": "train/toy-a", "toy-b": "train/toy-b", "train/toy-a-0123456789ab": "train/toy-a"}
    for word, name in asked.items():
        assert commands.main(["logs", word, "--results", str(tmp_path)]) == 0
        assert capsys.readouterr().out.startswith(f"this is {name}")
    assert commands.main(["logs", "--results", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "this is runs/20260102-000000\\x1b[2J\n"
    for word, many in {"toy": "2: train/toy-a-0123456789ab, ", "none": "none"}.items():
        assert commands.main(["logs", word, "--results", str(tmp_path)]) == 1
        assert f"got {word}, {many}" in capsys.readouterr().err


def test_doctor_finds_that_a_run_can_work_here(tmp_path, capsys):
    found = {each["what"]: each for each in _read(capsys, "doctor", "--results", str(tmp_path / "results"))}
    assert {found[name]["state"] for name in ("Python", "torch", "torchvision", "snakemake", "results")} == {"ok"}
    assert list(tmp_path.iterdir()) == [], "looking leaves nothing behind"


def test_doctor_says_what_to_do_and_fails_if_a_run_cannot_work(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(health, "_LEAST", 1e30)
    monkeypatch.setattr(health.snakemake, "SNAKEFILE", tmp_path / "none")
    monkeypatch.setattr(health, "_PYTHON", (9, 9))
    monkeypatch.setenv("PIPELINE_DEVICE", "cpu")
    (tmp_path / "file").touch()
    assert commands.main(["doctor", "--results", str(tmp_path), "--data-root", str(tmp_path / "file")]) == 1
    said = capsys.readouterr().out
    for line in ("missing  Python: ", "missing  workflow: ", "missing  disk: ", "missing  data: ", "none     GPU: not used"):
        assert line in said
    assert "install 9.9 or newer" in said


def _fails(error: Exception):
    def load():
        raise error

    return load


def test_a_package_that_breaks_or_is_not_there_is_missing(tmp_path):
    broken = health._package("torch", _fails(RuntimeError("operator\nis gone")))
    assert broken.state == "missing"
    assert broken.found.endswith("cannot be imported: operator is gone")
    assert health._package("no-such-package", lambda: None).found == "not installed"
    assert health._data(tmp_path).state == "none"
    (tmp_path / "MNIST" / "raw").mkdir(parents=True)
    assert health._data(tmp_path).found == f"{tmp_path} has MNIST"


def test_claims_are_listed_and_those_that_fail_picked(tmp_path, capsys, monkeypatch):
    from pipeline_lib.planning import catalogue

    row = {"experiment": "small", "claim": "a", "setting": "toy", "measured": 1.5, "low": 1.0, "high": float("inf")}
    row |= {"unit": "points", "paper_value": None, "family": "paper B"}
    rows = [row | {"verdict": verdict, "needs": None} for verdict in ("holds", "fails", "fails")]
    rows += [row | {"verdict": "not measured", "needs": needs} for needs in ("task vgg16", *(f"table {i}" for i in range(8)))]
    monkeypatch.setattr(catalogue, "judged", lambda results: rows)
    assert commands.main(["claims", "--failing"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[:6] for line in said[1:3]] == [["small", "fails", "a", "toy", "1.5", "1"]] * 2
    assert said[3] == "9 not measured, 2 fails, 1 holds"
    assert said[5] == "not measured, by what they need, and the training that this takes:"
    assert said[6].split() == ["paper", "needs", "claims", "runs", "steps", "hours", "told_by"]
    paper, needs, number, *numbers = re.split("  +", said[7])
    assert (paper, needs, number, numbers[2]) == ("paper B", "task vgg16", "1", "unknown")
    assert numbers[3] == "rewind plan config/experiments/mode_connectivity.yaml --calibrate"
    assert said[-1] == "1 more need other things: rewind claims --all"
    assert [row["verdict"] for row in _read(capsys, "claims")] == ["holds", "fails", "fails"]
    found = _read(capsys, "claims", "--all")
    assert len(found) == 12
    assert found[3]["cost"]["runs"] == int(numbers[0])
    assert found[3]["cost"]["hours"] is None
    assert commands.main(["claims", "--experiment", "other"]) == 1
    assert "results folder must have a table of claims" in capsys.readouterr().err
