from __future__ import annotations

import pytest
import toys
import yaml

from pipeline_lib import __main__ as cli


@pytest.fixture
def path(tmp_path):
    written = tmp_path / "config.yaml"
    written.write_text(yaml.safe_dump(toys.raw_config(tmp_path / "results", figures=["paths_dense"], levels=0)))
    return str(written)


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
