"""A config with a mistake: one line that names thing, rule and remedy, exit code 1, and nothing written."""

from __future__ import annotations

import copy
from typing import Any

import checkout as co
import pytest
from checkout import Checkout

EXPERIMENT = "experiments.tiny"

# A place in the config, the value put there, and what the message must say.
MISTAKES: dict[str, tuple[str, Any, tuple[str, ...]]] = {
    "misspelt key": (f"{EXPERIMENT}.sedes", 2, (f"key of {EXPERIMENT}", "'sedes'", "did you mean 'seeds'?")),
    "misspelt task key": ("tasks.toy.stepps", 2, ("key of tasks.toy", "'stepps'", "did you mean 'steps'?")),
    "misspelt setting": ("result", "here", ("key of config", "'result'", "did you mean 'results'?")),
    "unknown network": ("tasks.toy.network", {"name": "mpl"}, ("toy.network.name", "'mpl'", "did you mean 'mlp'?")),
    "unknown option": ("tasks.toy.network.width", 3, ("option of toy.network mlp", "'width'", "did you mean 'widths'?")),
    "unknown data set": ("tasks.toy.dataset", {"name": "digit"}, ("toy.dataset.name", "'digit'", "did you mean 'digits'?")),
    "unknown task": (f"{EXPERIMENT}.tasks", ["toys"], ("task must be one of", "'toys'", "did you mean 'toy'?")),
    "unknown figure": (f"{EXPERIMENT}.figures", ["best"], (f"{EXPERIMENT}.figures", "'best'", "must be one of")),
    "k beyond T": (f"{EXPERIMENT}.rewind", [0, 31], (f"{EXPERIMENT}.rewind", "below toy's 30 steps", "got 31", "lower it")),
    "k at T": (f"{EXPERIMENT}.rewind", [30], ("below toy's 30 steps", "got 30", "lower it")),
    "negative k": (f"{EXPERIMENT}.rewind", [-1], (f"{EXPERIMENT}.rewind.0", "at least 0", "got -1")),
    "negative level": (f"{EXPERIMENT}.levels", -1, (f"{EXPERIMENT}.levels", "at least 0", "got -1")),
    "sparse level too high": (f"{EXPERIMENT}.sparse_level", 3, ("sparse_level must be at most levels = 2", "got 3")),
    "density 0": (f"{EXPERIMENT}.pruning.densities", [0.5, 0], ("densities.1", "above 0", "got 0")),
    "density above 1": (f"{EXPERIMENT}.pruning.densities", [1.5, 0.5], ("densities.0", "at most 1", "got 1.5")),
    "density 1": (f"{EXPERIMENT}.pruning.densities", [1, 0.5], ("densities must fall", "one below 1 for each", "got [1, 0.5]")),
    "density rises": (f"{EXPERIMENT}.pruning.densities", [0.2, 0.5], ("densities must fall", "got [0.2, 0.5]")),
    "fraction 1": (f"{EXPERIMENT}.pruning.fraction", 1, ("pruning.fraction", "below 1", "got 1")),
    "no seeds": (f"{EXPERIMENT}.seeds", 0, (f"{EXPERIMENT}.seeds", "at least 1", "got 0")),
    "one alpha": (f"{EXPERIMENT}.alphas", 1, (f"{EXPERIMENT}.alphas", "at least 2", "got 1")),
    "unknown control": (f"{EXPERIMENT}.controls", ["reint"], ("controls.0", "'reint'", "did you mean 'reinit'?")),
}


def _with(place: str, value: Any) -> dict[str, Any]:
    config = copy.deepcopy(co.TINY)
    *path, last = place.split(".")
    inner = config
    for key in path:
        inner = inner[key]
    inner[last] = value
    return config


@pytest.mark.parametrize("mistake", list(MISTAKES))
def test_planning_names_thing_rule_and_remedy(empty: Checkout, mistake: str) -> None:
    place, value, expected = MISTAKES[mistake]
    empty.configure(_with(place, value))
    outcome = co.call(empty.root, "-m", "pipeline_lib", "plan", str(empty.config), "--write")
    assert outcome.code == 1
    (line,) = outcome.text.strip().splitlines()
    assert line.startswith("error: ")
    assert [text for text in ("must", ", got", "; ", *expected) if text not in line] == [], line
    assert not empty.results.exists()


@pytest.mark.parametrize("mistake", ["misspelt key", "unknown network", "k beyond T"])
def test_a_run_says_the_same(empty: Checkout, mistake: str) -> None:
    place, value, expected = MISTAKES[mistake]
    empty.configure(_with(place, value))
    outcome = co.snakemake(empty)
    assert outcome.code == 1
    assert [text for text in expected if text not in outcome.text] == [], outcome.text
    assert "Traceback" not in outcome.text
    assert not empty.results.exists()


@pytest.mark.parametrize(("text", "expected"), [("a: [", "must be YAML"), ("- a", "must be a mapping"), (None, "must exist")])
def test_a_config_that_is_none(empty: Checkout, text: str | None, expected: str) -> None:
    empty.config.unlink()
    if text is not None:
        empty.config.write_text(text, encoding="utf-8")
    outcome = co.call(empty.root, "-m", "pipeline_lib", "plan", str(empty.config))
    assert outcome.code == 1
    assert expected in outcome.text
    assert len(outcome.text.strip().splitlines()) == 1


def test_verbose_shows_the_traceback(empty: Checkout) -> None:
    empty.configure(_with(f"{EXPERIMENT}.levels", -1))
    outcome = co.call(empty.root, "-m", "pipeline_lib", "--verbose", "plan", str(empty.config))
    assert outcome.code == 1
    assert outcome.text.startswith("Traceback")
    assert "levels must be at least 0, got -1" in outcome.text
