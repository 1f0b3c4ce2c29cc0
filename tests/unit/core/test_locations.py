from __future__ import annotations

import os
from pathlib import Path

import pytest
import toys

from pipeline_lib.core import locations
from pipeline_lib.experiments import config
from pipeline_lib.planning import nodes


@pytest.fixture(autouse=True)
def home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("SCRATCH", "/scratch/me")
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.delenv("PIPELINE_DATA_ROOT", raising=False)


WRITTEN = {
    "~": "/home/me",
    "~/data": "/home/me/data",
    "$SCRATCH/data": "/scratch/me/data",
    "${SCRATCH}/a": "/scratch/me/a",
    "$HOME/x/$SCRATCH": "/home/me/x//scratch/me",
    "a/~b": "a/~b",
    "plain": "plain",
}


@pytest.mark.parametrize("path", WRITTEN)
def test_homes_and_variables_are_written_out(path):
    assert locations.expanded("results", path) == WRITTEN[path]


@pytest.mark.parametrize(
    ("given", "variable"), [("$NOWHERE/a", "$NOWHERE"), ("a/${NOWHERE}", "$NOWHERE"), ("$EMPTY/a", "$EMPTY")]
)
def test_a_variable_that_is_not_set_is_named(given, variable, monkeypatch):
    monkeypatch.delenv("NOWHERE", raising=False)
    with pytest.raises(ValueError) as caught:
        locations.expanded("results", given)
    expected = f"results must name variables that are set, got {variable} in {given!r}; set it or write the path out"
    assert str(caught.value) == expected


def test_a_home_of_nobody_is_refused():
    with pytest.raises(ValueError, match=r"^data_root must begin with the home of a user that there is, got '~no_such_user/a'"):
        locations.expanded("data_root", "~no_such_user/a")


def test_a_config_has_them_written_out(monkeypatch):
    found = config.resolve(toys.raw_config("$SCRATCH/results") | {"data_root": "~/data"})
    assert (found.results, found.data_root) == (Path("/scratch/me/results"), Path("/home/me/data"))
    monkeypatch.setenv("PIPELINE_DATA_ROOT", "~/elsewhere")
    assert config.resolve(toys.raw_config()).data_root == Path("/home/me/elsewhere")


@pytest.mark.parametrize("value", ["a;b", "a$(touch x)", "a\n"])
def test_a_variable_does_not_bring_in_what_a_shell_would_read(value, monkeypatch):
    monkeypatch.setenv("SCRATCH", value)
    with pytest.raises(ValueError, match=r"^results must be text that matches"):
        config.resolve(toys.raw_config("$SCRATCH"))


def _named(name: str) -> dict[str, object]:
    raw = toys.raw_config()
    return raw | {"experiments": {name: raw["experiments"]["tiny"]}}


@pytest.mark.parametrize("name", locations.RESERVED)
def test_an_experiment_may_not_be_named_as_what_results_holds(name):
    with pytest.raises(ValueError, match=rf"^experiment must not be named artifacts, .*, got '{name}'; results has a folder"):
        config.resolve(_named(name))


def test_long_names_are_refused_and_the_longest_fit_a_file_system():
    with pytest.raises(ValueError, match=r"^experiment's name must have at most 100 letters, got 101 in 'x+'; shorten it"):
        config.resolve(_named("x" * 101))
    made = toys.make_plan(_named("x" * 100))
    names = [Path(node.folder).name for node in made.nodes.values()]
    assert max(len(f".{name}.tsv.{'0' * 20}.part") for name in names) <= 255
    assert all(isinstance(node, nodes.Node) for node in made.nodes.values())


def test_fonts_are_listed_under_results_where_there_is_no_home(tmp_path, monkeypatch):
    monkeypatch.delenv("MPLCONFIGDIR", raising=False)
    monkeypatch.setenv("HOME", "/dev/null/x")
    monkeypatch.setattr(os, "environ", dict(os.environ))
    locations.keep_caches(tmp_path / "results")
    assert os.environ["MPLCONFIGDIR"] == str(tmp_path / "results" / ".cache" / "matplotlib")


@pytest.mark.parametrize("given", [{"MPLCONFIGDIR": "/mine", "HOME": "/dev/null/x"}, {}])
def test_a_home_or_a_users_own_choice_stays(given, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "environ", {name: v for name, v in os.environ.items() if name != "MPLCONFIGDIR"})
    os.environ.update({"HOME": str(tmp_path)} | given)
    locations.keep_caches(tmp_path / "results")
    assert os.environ.get("MPLCONFIGDIR") == given.get("MPLCONFIGDIR")
