"""The profile for Slurm: how a user's copy comes about, and what it says."""

from __future__ import annotations

import shutil
from pathlib import Path

import checkout as co
import pytest
import yte


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with the profiles and nothing else."""
    shutil.copytree(co.PROJECT / "workflow" / "profiles", tmp_path / "workflow" / "profiles")
    return tmp_path


def _install(root: Path, *settings: str) -> co.Outcome:
    return co.call(root, "workflow/profiles/install.py", *settings)


def _profile(root: Path) -> dict:
    return yte.process_yaml((root / "slurm" / "config.yaml").read_text(encoding="utf-8"))


def test_a_copy_without_settings_leaves_account_and_partition_to_the_cluster(root: Path) -> None:
    assert _install(root, "account=", "partition=", "gpu_partition=", "gpus=", "gpu_model=").code == 0
    profile = _profile(root)
    assert set(profile["default-resources"]) == {"runtime", "mem_mb"}
    assert profile["set-resources"]["train"] == {"runtime": "240 * attempt", "mem_mb": "8000 * attempt", "gpu": 1}


def test_settings_of_the_site_are_written_into_the_copy(root: Path) -> None:
    settings = ("account=physics", "partition=all", "gpu_partition=gpu-long", "gpus=2", "gpu_model=a100")
    assert _install(root, *settings).code == 0
    profile = _profile(root)
    assert (profile["default-resources"]["slurm_account"], profile["default-resources"]["slurm_partition"]) == (
        "'physics'",
        "'all'",
    )
    train = profile["set-resources"]["train"]
    assert (train["gpu"], train["gpu_model"], train["slurm_partition"]) == (2, "'a100'", "'gpu-long'")


def test_a_cluster_without_gpus_is_asked_for_none(root: Path) -> None:
    assert _install(root, "partition=short", "gpu_partition=gpu", "gpus=0").code == 0
    assert set(_profile(root)["set-resources"]["train"]) == {"runtime", "mem_mb"}


def test_a_copy_is_written_once(root: Path) -> None:
    assert _install(root, "account=physics").code == 0
    assert _install(root, "account=physics").code == 0
    copy = root / "slurm" / "config.yaml"
    edited = copy.read_text(encoding="utf-8").replace("jobs: 200", "jobs: 20")
    copy.write_text(edited, encoding="utf-8")
    outcome = _install(root, "account=physics")
    assert outcome.code == 1
    assert outcome.text.startswith("error: slurm/config.yaml must be absent or as it would be written, got one that differs; ")
    assert copy.read_text(encoding="utf-8") == edited


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("user=me", "setting must be one of account, partition, gpu_partition, gpus, gpu_model, got 'user'"),
        ("gpus=many", "gpus must be a number, got 'many'"),
        ('account=a" #', "account must be letters, digits"),
    ],
)
def test_settings_that_make_no_sense_are_refused(root: Path, setting: str, expected: str) -> None:
    outcome = _install(root, setting)
    assert outcome.code == 1
    assert outcome.text.startswith(f"error: {expected}")
    assert not (root / "slurm").exists()
