"""A newcomer's walk, docs/walk.md: its files and lines of Python work as they stand there, the run in fewer steps."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import checkout as co
import pytest
import yaml

TEXT = (co.PROJECT / "docs" / "walk.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
# What is smaller here: 2 networks a kind instead of 72 in all, for 20 steps instead of 400.
FEWER = {"seeds": 1, "rewind": [0, 10], "levels": 1}


def _files() -> dict[str, str]:
    """Find the files that the page writes, by name."""
    named = [(re.match(r"# (\S+/?\S*\.\w+)\n", block), block) for _, block in BLOCKS]
    return {found[1]: block for found, block in named if found}


def _typed() -> list[str]:
    """List the blocks of Python that a reader types."""
    return [block for language, block in BLOCKS if language == "python" and not block.startswith("# ")]


def _shown(block: str, names: dict[str, Any]) -> Any:
    """Run a block, and give what its last line comes to."""
    *before, last = ast.parse(block).body
    exec(compile(ast.Module(before, []), "walk", "exec"), names)
    if isinstance(last, ast.Expr):
        return eval(ast.unparse(last), names)
    return exec(ast.unparse(last), names)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the network and its config were written, and the experiment has run."""
    root = tmp_path_factory.mktemp("walk")
    for name, text in _files().items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    raw = yaml.safe_load((root / "walk.yaml").read_text(encoding="utf-8"))
    raw["tasks"]["mine"]["steps"] = 20
    raw["experiments"]["walk"] |= FEWER
    (root / "walk.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    environment = co.environment(PYTHONPATH=str(co.PROJECT), OMP_NUM_THREADS="1")
    ran = co.call(root, "-m", "pipeline_lib", "run", "walk.yaml", "--cores", "1", env=environment)
    assert ran.code == 0, ran.text
    return root


def test_an_own_network_comes_to_a_figure_and_its_numbers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(_files()) == ["my_lab/nets.py", "walk.yaml"]
    asked = yaml.safe_load(_files()["walk.yaml"])["experiments"]["walk"]["figures"]
    assert sorted(path.stem for path in (folder / "results" / "walk" / "figures").glob("*.svg")) == sorted(asked)
    monkeypatch.chdir(folder)
    means = _shown(_typed()[0], {})
    assert set(means.index) == {("dense", 0, 0), ("dense", 10, 0), ("imp", 0, 1), ("imp", 10, 1)}
    assert means.between(-0.1, 1).all()


def test_two_own_checkpoints_come_to_a_path_and_a_spectrum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    instability, (top, trace) = [_shown(block, names) for block in _typed()[1:]][1:]
    assert {path.name for path in tmp_path.iterdir()} == {"a.pt", "b.pt"}
    assert list(names["line"]) == pytest.approx([each / 10 for each in range(11)])
    assert instability > 0.05, "they share no training"
    assert names["eigenvalues"].shape == names["density"].shape
    assert top[0] > 0 < trace


def test_every_file_that_is_named_is_made_or_there() -> None:
    pages = re.findall(r"\]\(([\w/-]+\.md)", TEXT)
    assert len(pages) > 6
    assert all((co.PROJECT / "docs" / page).is_file() for page in pages)
