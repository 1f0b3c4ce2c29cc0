from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline_lib import fingerprint as module

SOURCES = {
    "stages/train.py": "import math\nfrom pipeline_lib import tree\nfrom pipeline_lib.prune import drop\n\nX = 1\n",
    "tree.py": '"""Algebra."""\nfrom pipeline_lib import deep\n\n\ndef lerp(a):\n    """Mix."""\n    return a + 1  # why\n',
    "prune.py": "def drop():\n    from pipeline_lib.late import act\n    return act\n",
    "deep.py": "Y = 2\n",
    "late.py": "act = 3\n",
    "other.py": "Z = 4\n",
}
TRAIN = "pipeline_lib.stages.train"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A small package whose stage imports two modules, and through them two more."""
    (tmp_path / "stages").mkdir()
    for name, text in SOURCES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(module, "PACKAGE", tmp_path)
    _forget()
    yield tmp_path
    _forget()


def _forget() -> None:
    module._read.cache_clear()
    module.fingerprint.cache_clear()


def _edit(path: Path, old: str, new: str) -> str:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    _forget()
    return module.fingerprint(TRAIN)


def test_the_closure_follows_imports_into_functions(package):
    assert module.closure(TRAIN) == [
        "pipeline_lib.deep", "pipeline_lib.late", "pipeline_lib.prune", TRAIN, "pipeline_lib.tree",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# why", "# because"),
        ('"""Mix."""', '"""Mix two."""'),
        ('"""Algebra."""', ""),
        ("\n\n\ndef lerp", "\n\n\n\n\ndef lerp"),
        ("a + 1", "(a   +  1)"),
        ("def lerp(a)", "def lerp(a: Share) -> float"),
        ("from pipeline_lib import deep\n", "from pipeline_lib import deep\nfrom pipeline_lib.values import Share\n"),
    ],
)
def test_comments_docstrings_annotations_and_layout_do_not_count(package, old, new):
    before = module.fingerprint(TRAIN)
    assert _edit(package / "tree.py", old, new) == before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("stages/train.py", "X = 1", "X = 2"),
        ("tree.py", "a + 1", "a + 2"),
        ("tree.py", "def lerp(a)", "def lerp(a, b=0)"),
        ("deep.py", "Y = 2", 'Y = "2"'),
        ("late.py", "act = 3", "act = 4"),
    ],
)
def test_any_other_edit_counts_however_far_down(package, name, old, new):
    before = module.fingerprint(TRAIN)
    after = _edit(package / name, old, new)
    assert after != before
    assert _edit(package / name, new, old) == before


def test_a_module_that_is_not_imported_does_not_count(package):
    before = module.fingerprint(TRAIN)
    assert _edit(package / "other.py", "Z = 4", "Z = 5") == before


def test_a_string_that_is_no_docstring_counts(package):
    before = module.fingerprint(TRAIN)
    assert _edit(package / "deep.py", "Y = 2", 'Y = 2\n"text"') != before


def test_a_module_outside_the_package_is_refused(package):
    with pytest.raises(ValueError, match=r"module must be part of pipeline_lib, got 'pipeline_lib.none'"):
        module.fingerprint("pipeline_lib.none")


@pytest.mark.parametrize("stage", ["train", "pretrain"])
def test_a_training_stage_covers_the_loop_and_its_parts(stage):
    parts = {"train", "optim", "batches", "rng", "tree", "precision", "replay", "stages.training", "stages.data", "artifacts"}
    assert {f"pipeline_lib.{name}" for name in parts} <= set(module.closure(f"pipeline_lib.stages.{stage}"))


@pytest.mark.parametrize(
    ("stage", "stranger"), [("train", "interpolate"), ("train", "prune"), ("rewind", "train"), ("plot", "train")]
)
def test_a_stage_does_not_cover_what_it_does_not_use(stage, stranger):
    assert f"pipeline_lib.{stranger}" not in module.closure(f"pipeline_lib.stages.{stage}")


def test_the_fingerprint_is_the_same_in_every_process():
    root = Path(module.__file__).parent.parent
    code = f"from pipeline_lib.fingerprint import fingerprint; print(fingerprint('{TRAIN}'))"
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    done = subprocess.run([sys.executable, "-c", code], cwd=root, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == module.fingerprint(TRAIN)
