"""Fixtures of the cluster tests: one Slurm for all of them, and an undisturbed local run to compare with."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import checkout as co
import slurm

# A ladder of one level and a second order at both, one member a job: a `pretrain`, four trainings, two interpolations.
LADDER: co.Config = {
    "per_job": {"seeds": 1, "orders": 1},
    "tasks": {"toy": co.TOY},
    "experiments": {
        "ladder": {
            "tasks": ["toy"],
            "seeds": 1,
            "orders": [0, 2],
            "rewind": [0],
            "levels": 1,
            "pruning": {"fraction": 0.36},
            "alphas": 5,
            "figures": ["instability_sparse"],
        }
    },
}


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[slurm.Cluster]:
    """A Slurm; its logs are kept if a test fails."""
    started = slurm.start()
    yield started
    started.stop(keep=bool(request.session.testsfailed))


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Tables and figures of the ladder, made without a cluster."""
    checkout = co.blank(tmp_path_factory.mktemp("local") / "checkout", LADDER)
    co.succeed(checkout)
    return co.contents(checkout.results / "ladder")


@pytest.fixture
def ladder(tmp_path: Path) -> co.Checkout:
    """A checkout with the ladder's config and the site's profile."""
    checkout = co.blank(tmp_path / "checkout", LADDER)
    outcome = co.call(checkout.root, "workflow/profiles/install.py", f"account={slurm.ACCOUNT}", "gpu_partition=gpu")
    assert outcome.code == 0, outcome.text
    return checkout
