"""Commands that keep or remove artifacts, and what all commands do with mistakes."""

from __future__ import annotations

import io

import pytest
import toys

from pipeline_lib import commands as cli
from pipeline_lib.experiments.config import ROOT
from pipeline_lib.store import lease


@pytest.fixture
def path(tmp_path):
    return toys.written_config(tmp_path)


def test_a_mistake_ends_with_one_line_and_exit_code_1(path, capsys):
    assert cli.main(["gc", path, "--config", "experiments={tiny: {levels: -1}}"]) == 1
    error = capsys.readouterr().err
    assert error == "error: experiments.tiny.levels must be at least 0, got -1; correct the config\n"


def test_verbose_shows_the_traceback(path):
    with pytest.raises(ValueError, match="levels must be at least 0"):
        cli.main(["--verbose", "gc", path, "--config", "experiments={tiny: {levels: -1}}"])


def test_overrides_are_merged_as_yaml(path, capsys):
    overrides = ["--config", "experiments={tiny: {levels: -2}}", "--config", "experiments={tiny: {levels: 0}}"]
    assert cli.main(["gc", path, *overrides]) == 0
    assert "0 artifacts" in capsys.readouterr().out


def test_an_override_without_a_value_is_refused(path, capsys):
    assert cli.main(["gc", path, "--config", "levels"]) == 1
    assert "--config must be KEY=VALUE, got 'levels'" in capsys.readouterr().err


def test_a_missing_file_is_refused(capsys):
    assert cli.main(["gc", "none.yaml"]) == 1
    assert "config file must exist, got none.yaml" in capsys.readouterr().err


@pytest.fixture
def garbage(tmp_path):
    """An artifact that no plan needs."""
    folder = tmp_path / "results" / "artifacts" / "train" / "old-000000000000"
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text('{"key": "000000000000", "stage": "train", "sha256": {}}')
    return folder


def _answer(monkeypatch, answer):
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))


@pytest.mark.parametrize(("answer", "gone"), [("\n", False), ("n\n", False), ("y\n", True), ("yes\n", True)])
def test_removal_asks_first(path, garbage, monkeypatch, capsys, answer, gone):
    _answer(monkeypatch, answer)
    assert cli.main(["gc", path, "--remove"]) == 0
    assert garbage.exists() is not gone
    assert cli.main(["gc", path, "--undo"]) == 0
    assert garbage.is_dir()
    assert ("1 artifacts brought back" in capsys.readouterr().out) is gone


def test_removal_that_nobody_answers_needs_a_yes(path, garbage, monkeypatch, capsys):
    _answer(monkeypatch, "")
    assert cli.main(["gc", path, "--remove"]) == 1
    assert "removal must be agreed to, got no answer; add --yes" in capsys.readouterr().err
    assert cli.main(["gc", path]) == 0
    assert garbage.is_dir()
    assert cli.main(["gc", path, "--remove", "--yes"]) == 0
    assert not garbage.exists()


def test_removal_waits_until_nobody_works_there(path, garbage, capsys):
    held = lease.Lease(garbage.parents[2], ROOT)
    assert cli.main(["gc", path, "--remove", "--yes"]) == 1
    assert "must be worked in by one run at a time" in capsys.readouterr().err
    held.release()
    assert garbage.is_dir()


def test_a_folder_that_does_not_exist_is_not_whole(tmp_path, capsys):
    assert cli.main(["verify", str(tmp_path / "none")]) == 1
    assert "results folder must exist, got" in capsys.readouterr().err
    assert cli.main(["verify", str(tmp_path)]) == 0


def test_keeping_without_anything_to_keep_is_refused(path, capsys):
    assert cli.main(["adopt", path]) == 0
    assert capsys.readouterr().out.endswith("0 artifacts differ from the plan by code alone\n")
    assert cli.main(["adopt", path, "--keep", "train", "--yes"]) == 1
    assert "must have artifacts that differ by code alone, got none of train" in capsys.readouterr().err


def test_keeping_is_forgotten_when_nobody_works_there(path, garbage, capsys):
    held = lease.Lease(garbage.parents[2], ROOT)
    assert cli.main(["adopt", path, "--undo"]) == 1
    assert "must be worked in by one run at a time" in capsys.readouterr().err
    held.release()
    assert cli.main(["adopt", path, "--undo"]) == 0


def test_explaining_takes_configs_and_what_is_asked_for(path, capsys):
    assert cli.main(["explain", path, "paths_dense"]) == 0
    assert capsys.readouterr().out.startswith("figure paths_dense of tiny, drawn from: interpolation\n")
    assert cli.main(["explain", "abcd", "--results", "none"]) == 1
    assert "key must be that of one artifact" in capsys.readouterr().err
    assert cli.main(["explain", path, "--config", "experiments={tiny: {levels: -1}}"]) == 1


def test_a_network_that_is_not_there_is_not_exported(tmp_path, capsys):
    asked = ["export", "0" * 12, "--to", str(tmp_path / "out"), "--results", str(tmp_path)]
    assert cli.main(asked) == 1
    assert capsys.readouterr().err.startswith("error: key must be that of one artifact")
    assert not (tmp_path / "out").exists()


def test_what_is_asked_for_reaches_the_export(tmp_path, monkeypatch, capsys):
    from pipeline_lib.notebook import export

    seen = []
    monkeypatch.setattr(export, "export", lambda *words: seen.append(words) or [tmp_path / "model.safetensors"])
    assert cli.main(["export", "abc", "--member", "2", "--to", str(tmp_path), "--results", "there"]) == 0
    assert [tuple(map(str, each)) for each in seen] == [("there", "abc", "2", str(tmp_path))]
    assert capsys.readouterr().out.strip() == str(tmp_path / "model.safetensors")
