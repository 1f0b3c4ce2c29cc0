"""The notebooks of docs/notebooks: their cells run as they stand there, and come to what they say."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

from pipeline_lib.planning import nodes

FOLDER = Path(__file__).parents[3] / "docs" / "notebooks"


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mpl.use("Agg")
    yield
    plt.close("all")


def _run(name: str) -> dict[str, Any]:
    """Run a notebook's cells one after the other; what the last lines come to is not shown."""
    cells = json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    names: dict[str, Any] = {}
    for cell in cells:
        assert cell.get("outputs", []) == [], "notebooks are kept without outputs"
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    return names


def test_all_notebooks_are_tried_here():
    assert {path.stem for path in FOLDER.iterdir()} == {"from-results-to-figures", "own-network", "two-checkpoints"}


def test_from_results_to_figures(made: nodes.Plan, tmp_path):
    shutil.copytree(made.config.results / "artifacts", tmp_path / "results" / "artifacts")
    (tmp_path / "results" / "quickstart").mkdir()
    for table, node in made.tables["tiny"].items():
        path = made.config.results / node.folder / "table.parquet"
        if path.is_file():
            shutil.copy(path, tmp_path / "results" / "quickstart" / f"{table}.parquet")
    names = _run("from-results-to-figures")
    assert names["line"][1.0].loss != names["line"][0.5].loss
    assert abs(max(score.error for score in names["line"].values()) - names["row"]["max_error"]) < 0.1
    assert 0 < min(names["kept"].values()) < 1
    assert len(plt.get_fignums()) == 3


def test_own_network():
    names = _run("own-network")
    assert names["rw"].evaluate(names["ticket"], names["test_data"]).error < 0.12
    assert names["rw"].density(names["mask"]) == pytest.approx(0.25, abs=0.01)
    assert names["rw"].evaluate(names["w0"], names["test_data"]).error > 0.5


def test_two_checkpoints():
    names = _run("two-checkpoints")
    rw, data = names["rw"], names["data"]
    assert max(rw.evaluate(names[each], data).error for each in "abc") < 0.05
    assert rw.instability(names["a"], names["b"], data, num=11).loss_barrier > 0.1
    assert names["seen"].errors.shape == (9, 9)
    assert rw.top_values(names["spectrum"].full[0], 1)[0] > 0
