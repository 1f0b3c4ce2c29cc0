"""The two recipes of an image: they copy what an installation needs, and install what there is."""

from __future__ import annotations

import re
import tomllib

import pytest

from pipeline_lib.experiments.config import ROOT

RECIPES = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("Dockerfile", "apptainer.def")}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def _copied(name: str) -> set[str]:
    """List what is copied from the checkout."""
    if name == "Dockerfile":
        lines = [line.split()[1:-1] for line in RECIPES[name].splitlines() if line.startswith("COPY ")]
        return {each for line in lines for each in line}
    section = RECIPES[name].partition("%files\n")[2].partition("\n\n")[0]
    pairs = [line.split() for line in section.splitlines()]
    assert all(to == f"/opt/rewind/{each}" for each, to in pairs)
    return {each for each, _ in pairs}


@pytest.mark.parametrize("name", RECIPES)
def test_what_an_installation_needs_is_copied(name):
    shipped = {file.partition("/")[0] for files in PROJECT["tool"]["setuptools"]["data-files"].values() for file in files}
    needed = {"pyproject.toml", "constraints.txt", PROJECT["project"]["readme"], "LICENSE", "pipeline_lib", *shipped}
    assert _copied(name) == needed
    assert all((ROOT / each).exists() for each in needed)


@pytest.mark.parametrize("name", RECIPES)
def test_extras_and_python_are_those_of_the_project(name):
    (extras,) = re.findall(r'pip install .*--constraint constraints\.txt "\.\[(.+)\]"', RECIPES[name])
    assert set(extras.split(",")) <= set(PROJECT["project"]["optional-dependencies"])
    (image,) = re.findall(r"^(?:FROM|From:) python:(\S+)-slim$", RECIPES[name], re.MULTILINE)
    assert PROJECT["project"]["requires-python"] == f">={image}"


def test_docker_sees_what_is_copied_and_nothing_else():
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert lines[0] == "*"
    assert {line.removeprefix("!") for line in lines if line.startswith("!")} == _copied("Dockerfile")
