"""The profile for Slurm: how a user's copy comes about, and what it says."""

from __future__ import annotations

import os
import shutil
import subprocess
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
    assert set(profile["default-resources"]) == {"runtime", "mem_mb", "gpu"}
    assert "set-resources" not in profile, "stages say themselves what they ask for"


def test_settings_of_the_site_are_written_into_the_copy(root: Path) -> None:
    settings = ("account=physics", "partition=all", "gpu_partition=gpu-long", "gpus=2", "gpu_model=a100")
    assert _install(root, *settings).code == 0
    asked = _profile(root)["default-resources"]
    assert (asked["slurm_account"], asked["slurm_partition"]) == ("'physics'", "'gpu-long'")
    assert (asked["gpu"], asked["gpu_model"]) == (2, "'a100'")


def test_a_cluster_without_gpus_is_asked_for_none(root: Path) -> None:
    assert _install(root, "partition=short", "gpu_partition=gpu", "gpus=0").code == 0
    asked = _profile(root)["default-resources"]
    assert (set(asked), asked["slurm_partition"]) == ({"runtime", "mem_mb", "slurm_partition"}, "'short'")


def test_jobs_that_train_together_are_a_group_that_asks_for_a_gpu_once(root: Path) -> None:
    assert _install(root, "together=9", "gpus=1", "gpu_model=a100").code == 0
    profile = _profile(root)
    assert profile["group-components"] == ["train=9"]
    asked = profile["default-resources"]
    assert (asked["gres"], set(asked) & {"gpu", "gpu_model"}) == ("'gpu:a100:1'", set())


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
        ("user=me", "setting must be one of account, partition, gpu_partition, gpus, gpu_model, together, got 'user'"),
        ("gpus=many", "gpus must be a number, got 'many'"),
        ('account=a" #', "account must be letters, digits"),
    ],
)
def test_settings_that_make_no_sense_are_refused(root: Path, setting: str, expected: str) -> None:
    outcome = _install(root, setting)
    assert outcome.code == 1
    assert outcome.text.startswith(f"error: {expected}")
    assert not (root / "slurm").exists()


SBATCH = co.PROJECT / "workflow" / "profiles" / "slurm" / "bin" / "sbatch"
LIMIT = "sbatch: error: QOSMaxSubmitJobPerUserLimit"


def _submit(tmp_path: Path, refusals: int, words: str, seconds: int = 900) -> tuple[subprocess.CompletedProcess[str], int]:
    """Submit a job to a cluster that refuses so often; give how it ended, and how often it was asked."""
    asked = tmp_path / "asked"
    asked.write_text("", encoding="utf-8")
    answer = (
        f'echo x >> {asked}; [ $(wc -l < {asked}) -gt {refusals} ] || {{ echo "{words}" >&2; exit 1; }}; echo 17; echo "$1"; cat'
    )
    for name, body in (("sbatch", answer), ("sleep", "true")):
        (tmp_path / name).write_text(f"#!/bin/bash\n{body}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    path = f"{SBATCH.parent}:{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sbatch", "--wrap=a 'b' $c"], input="script", capture_output=True, text=True, check=False,
        env={**os.environ, "PATH": path, "REWIND_SUBMIT_SECONDS": str(seconds)},
    )  # fmt: skip
    return done, len(asked.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("words", [LIMIT, "sbatch: error: Batch job submission failed: Unable to contact slurm controller"])
def test_a_submission_that_is_refused_for_now_is_asked_for_again(tmp_path: Path, words: str) -> None:
    done, asked = _submit(tmp_path, 3, words)
    assert (done.returncode, done.stdout, asked) == (0, "17\n--wrap=a 'b' $c\nscript", 4)
    assert done.stderr == "", "Snakemake takes a refusal's words for a failure"


def test_a_submission_that_is_refused_for_good_fails_at_once(tmp_path: Path) -> None:
    words = "sbatch: error: invalid partition specified: gpuu"
    done, asked = _submit(tmp_path, 3, words)
    assert (done.returncode, done.stderr, asked) == (1, f"{words}\n", 1)


def test_a_submission_is_given_up_in_the_end(tmp_path: Path) -> None:
    done, asked = _submit(tmp_path, 3, LIMIT, seconds=0)
    assert (done.returncode, done.stderr, asked) == (1, f"{LIMIT}\n", 1)
