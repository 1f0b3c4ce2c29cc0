from __future__ import annotations

import subprocess
import sys

import pytest
import toys

from pipeline_lib import __main__ as cli
from pipeline_lib.experiments.config import ROOT


@pytest.fixture
def path(tmp_path):
    return toys.written_config(tmp_path)


def test_a_mistake_ends_with_one_line_and_exit_code_1(path, capsys):
    assert cli.main(["gc", path, "--config", "experiments={tiny: {levels: -1}}"]) == 1
    error = capsys.readouterr().err
    assert error == "error: experiments.tiny.levels must be at least 0, got -1; correct the config\n"


def test_an_error_reaches_the_terminal_where_the_logs_disk_is_full(path):
    shell = f'{sys.executable} -m pipeline_lib gc {path} --config "experiments={{tiny: {{levels: -1}}}}" 3>&2 > /dev/full 2>&1'
    done = subprocess.run(["bash", "-c", shell], stderr=subprocess.PIPE, text=True, check=False, cwd=ROOT)
    assert done.returncode != 0
    assert done.stderr == "error: experiments.tiny.levels must be at least 0, got -1; correct the config\n"


def test_a_word_that_is_no_stage_is_a_command_for_people(capsys):
    assert cli.main(["list", "pretexts"]) == 0
    assert "rotation " in capsys.readouterr().out


def test_a_stage_is_made_without_what_commands_load(tmp_path):
    code = "import sys; from pipeline_lib import __main__ as cli; status = cli.main(sys.argv[1:]); "
    code += "print(status, {'typer', 'rich', 'torch', 'pipeline_lib.commands'} & set(sys.modules))"
    words = ["train", str(tmp_path / "results" / "artifacts" / "train" / "x-0123456789ab"), "--plan", "none"]
    done = subprocess.run([sys.executable, "-c", code, *words], stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
    assert done.stdout == "1 set()\n", "there is no such plan"
