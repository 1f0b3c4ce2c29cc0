"""What commands print, onto which screen or into what."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from pipeline_lib.commands.support import output
from pipeline_lib.experiments.config import ROOT

_ROWS = [{"name": "mlp", "options": "[300, 100]", "about": "An MLP."}, {"name": "b", "options": "", "about": "B."}]


def _printed(monkeypatch, capsys, width: int) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    output.table(_ROWS)
    return [line.rstrip() for line in re.sub(r"\x1b\[\d*m", "", capsys.readouterr().out).splitlines()]


def test_a_table_fits_the_terminal(monkeypatch, capsys):
    said = _printed(monkeypatch, capsys, 30)
    assert any(line.split() == ["name", "options", "about"] for line in said)
    assert max(map(len, said)) <= 30


def test_where_a_terminal_is_too_narrow_a_value_has_a_line(monkeypatch, capsys):
    expected = ["name: mlp", "options: [300, 100]", "about: An MLP.", "", "name: b", "options:", "about: B."]
    assert _printed(monkeypatch, capsys, 12) == expected


@pytest.mark.parametrize("words", [["list"], ["settings"]], ids=" ".join)
def test_a_reader_that_has_enough_ends_a_command_quietly(words):
    command = [sys.executable, "-c", "import sys; from pipeline_lib import commands; sys.exit(commands.main())", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_letters_that_a_terminal_lacks_are_escaped():
    code = "from pipeline_lib import commands; commands.main(['list', 'figures'])"
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONIOENCODING": "ascii"}, capture_output=True, check=True, cwd=ROOT
    )
    assert b"\\u03b1 = 1 is the first" in done.stdout
    assert done.stderr == b""
