"""Settings of all tests: one thread, checked shapes, laws tried on the same examples every time."""

from __future__ import annotations

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

install_import_hook("pipeline_lib", "beartype.beartype")

settings.register_profile("rewind", deadline=None, derandomize=True, database=None, max_examples=25)
settings.load_profile("rewind")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="also run tests that take more than a minute")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--slow"):
        return
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="slow: run with --slow"))


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    import torch

    torch.set_num_threads(1)
