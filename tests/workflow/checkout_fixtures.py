"""Fixtures: a finished run that is only read, and private copies of it."""

from __future__ import annotations

from pathlib import Path

import checkout as co
import pytest


@pytest.fixture(scope="session")
def tiny_done(base: Path) -> co.Checkout:
    """The tiny experiment, finished; not to be changed."""
    return co.finished(base, "tiny")


@pytest.fixture(scope="session")
def single_done(base: Path) -> co.Checkout:
    """The single-member experiment, finished; not to be changed."""
    return co.finished(base, "single")


@pytest.fixture(scope="session")
def early_done(base: Path) -> co.Checkout:
    """Paper A's figures on a toy, finished; not to be changed."""
    return co.finished(base, "early")


@pytest.fixture(scope="session")
def unmasking_done(base: Path) -> co.Checkout:
    """Paper C's figures on a toy, finished; not to be changed."""
    return co.finished(base, "unmasking")


@pytest.fixture
def tiny(tiny_done: co.Checkout, tmp_path: Path) -> co.Checkout:
    """A copy of the finished tiny experiment."""
    return co.copy(tiny_done, tmp_path / "checkout")


@pytest.fixture
def single(single_done: co.Checkout, tmp_path: Path) -> co.Checkout:
    """A copy of the finished single-member experiment."""
    return co.copy(single_done, tmp_path / "checkout")


@pytest.fixture
def empty(tmp_path: Path) -> co.Checkout:
    """A checkout with the tiny config and no results."""
    return co.blank(tmp_path / "checkout", co.TINY)
