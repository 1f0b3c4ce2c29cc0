"""Settings of all tests: one thread, checked shapes, laws tried on the same examples every time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

ROOT = Path(__file__).resolve().parents[1]


def modules_with_shapes() -> list[str]:
    """List the modules that declare shapes: mypy has the types of all others, whose every call would cost as much again."""
    paths = sorted((ROOT / "pipeline_lib").rglob("*.py"))
    with_shapes = [path for path in paths if "from jaxtyping import" in path.read_text(encoding="utf-8")]
    return [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in with_shapes]


install_import_hook(modules_with_shapes(), "beartype.beartype")

settings.register_profile("rewind", deadline=None, derandomize=True, database=None, max_examples=25)
settings.load_profile("rewind")


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the session, which its processes share if there are several."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    import torch

    torch.set_num_threads(1)
