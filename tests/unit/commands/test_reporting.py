"""`rewind report`: what it writes, says and refuses."""

from __future__ import annotations

import webbrowser

import pytest
import reported
import toys
import yaml

from pipeline_lib import commands
from pipeline_lib.commands.support import snakemake
from pipeline_lib.report import page, writing


@pytest.fixture
def config(tmp_path, monkeypatch):
    """A config file of a run whose tables and figures are made in part."""
    monkeypatch.setattr(page, "has_plotly", lambda: False)
    path = tmp_path / "config.yaml"
    more = {"figures": reported.FIGURES, "seeds": 3, "claims": ["B"], "controls": ["random_prune"]}
    path.write_text(yaml.safe_dump(toys.raw_config(tmp_path / "results", **more)))
    reported.whole(tmp_path / "results")
    return path


def test_a_page_is_written_and_opened(config, capsys, monkeypatch):
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    assert commands.main(["report", str(config), "--open"]) == 0
    path = config.parent / "results" / "tiny" / "report" / "index.html"
    said = capsys.readouterr()
    assert said.out == f"report: {path}\n"
    assert said.err == 'values on hover need plotly: pip install --constraint constraints.txt --editable ".[report]"\n'
    assert opened == [path.as_uri()]
    assert "figure-instability_dense" in path.read_text()


def test_overrides_are_those_of_the_run(config, capsys):
    assert commands.main(["report", str(config), "--set", "toy.steps=8"]) == 1
    assert "report must be of a run, got no table or figure of tiny in" in capsys.readouterr().err


def test_snakemakes_own_report_takes_the_place_of_earlier_ones_and_is_linked(config, capsys, monkeypatch):
    asked: list[list[str]] = []

    def written(command, **_):
        asked.append(command)
        writing.snakemakes(reported.plan(config.parent / "results")).write_text("theirs")
        return type("Done", (), {"returncode": 0, "stdout": ""})

    monkeypatch.setattr(snakemake.subprocess, "run", written)
    earlier = config.parent / "results" / "tiny" / "report" / "snakemake-0123456789ab.html"
    earlier.parent.mkdir(parents=True)
    earlier.touch()
    assert commands.main(["report", str(config), "--snakemake"]) == 0
    theirs = writing.snakemakes(reported.plan(config.parent / "results"))
    assert asked[0][-2:] == ["--report", str(theirs)]
    assert not earlier.exists()
    assert f"Snakemake's report: {theirs}" in capsys.readouterr().out
    assert theirs.name in (theirs.parent / "index.html").read_text()


def test_a_run_that_snakemake_cannot_report_has_a_page_all_the_same(config, capsys, monkeypatch):
    refused = type("Done", (), {"returncode": 1, "stdout": "Building DAG\nFile x is missing\n"})
    monkeypatch.setattr(snakemake.subprocess, "run", lambda *_, **__: refused)
    assert commands.main(["report", str(config), "--snakemake"]) == 1
    said = capsys.readouterr()
    assert "report: " in said.out
    assert (
        "Snakemake's report must show a finished run, got: Building DAG File x is missing; run the experiment first" in said.err
    )
