"""Settings of all tests: one thread, checked shapes, laws tried on the same examples every time."""

from __future__ import annotations

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

import pipeline_lib.planning.keys.fingerprint  # noqa: F401 (before the hook: it has no shapes, and a call a node of syntax)

install_import_hook("pipeline_lib", "beartype.beartype")

settings.register_profile("rewind", deadline=None, derandomize=True, database=None, max_examples=25)
settings.load_profile("rewind")


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    import torch

    torch.set_num_threads(1)
