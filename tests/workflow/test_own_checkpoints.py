"""What docs/own-checkpoints.md shows: its files are written, its config is planned."""

from __future__ import annotations

import re

import pytest

from pipeline_lib.experiments.config import ROOT
from pipeline_lib.experiments.figure_needs import FIGURES
from pipeline_lib.planning import driver
from pipeline_lib.planning.declared import COLUMNS

PAGE = (ROOT / "docs" / "own-checkpoints.md").read_text(encoding="utf-8")


def _block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


def test_the_page_shows_files_and_a_config_that_fit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(_block("python"), "own-checkpoints.md", "exec"), {})
    (tmp_path / "own.yaml").write_text(_block("yaml"), encoding="utf-8")
    made = driver.load([tmp_path / "own.yaml"])
    stages = [node.stage for node in made.nodes.values()]
    assert {stage: stages.count(stage) for stage in ("bring", "bring_mask", "connect", "triangle", "hessian")} == {
        "bring": 3, "bring_mask": 1, "connect": 1, "triangle": 1, "hessian": 2,
    }  # fmt: skip
    assert set(made.figures["own"]) == {name for name, each in FIGURES.items() if each.option == "analyse"} | {
        "accuracy_by_start"
    }
    text = re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)
    named = {word for word in re.findall(r"`(\w+)`", text) if word.startswith("checkpoint_") or word in ("triangles", "corners")}
    assert named == {name for name in COLUMNS if name.startswith("checkpoint_")} | {"triangles", "corners"}
    assert {"brought", *named} <= set(made.tables["own"])


@pytest.mark.parametrize("word", ["checkpoint", "mask", "analyse"])
def test_the_page_of_settings_has_what_it_links_to(word):
    assert f"\n## {word}\n" in (ROOT / "docs" / "config.md").read_text(encoding="utf-8")
