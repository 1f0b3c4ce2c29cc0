"""Kills, damage and clocks: afterwards the same files as without, or one clear error that names the file and the remedy."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import checkout as co
import numpy as np
import psutil
import pytest
import toys
from checkout import Checkout

from pipeline_lib.planning import driver

# A job that is killed when it has written, but not yet renamed, its nth file; what tells how far it is does not count.
KILLED_WRITING = """
import os, signal, sys
from pathlib import Path
from pipeline_lib import __main__
count, rename = [int(sys.argv.pop(1))], Path.replace
def killed(self, target):
    count[0] -= "artifacts" in Path(target).parts
    if "artifacts" in Path(target).parts and not count[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    return rename(self, target)
Path.replace = killed
__main__.main()
"""


def _arguments(checkout: Checkout, folder: Path) -> list[str]:
    plan = str(checkout.plan_file().relative_to(checkout.root))
    return [folder.parent.name, str(folder.relative_to(checkout.root)), "--plan", plan]


def _flip(path: Path, share: float) -> None:
    """Flip one bit at a share of a file's length."""
    content = bytearray(path.read_bytes())
    content[int(share * (len(content) - 1))] ^= 4
    path.write_bytes(content)


def _whole(folder: Path) -> dict[str, str]:
    return {name: digest for name, digest in co.contents(folder).items() if not name.startswith(".")}


def _same(folder: Path, before: dict[str, str]) -> bool:
    """Whether a folder has what it had, and nothing hidden."""
    return co.contents(folder) == before


def _job(driver: subprocess.Popen[bytes], stage: str) -> psutil.Process | None:
    """A running job of a stage that a driver has started."""
    for process in psutil.Process(driver.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if process.cmdline()[1:4] == ["-m", "pipeline_lib", stage]:
                return process
    return None


@pytest.mark.parametrize(("target", "nth"), [("prune/*", 1), ("train/*-L1-imp-o0-*", 2), ("tabulate/*-runs-*", 2)])
def test_a_job_that_is_killed_while_it_writes_leaves_no_torn_file(single: Checkout, target: str, nth: int) -> None:
    folder = single.path(f"artifacts/{target}")
    before = co.contents(folder)
    shutil.rmtree(folder)
    killed = co.call(single.root, "-c", KILLED_WRITING, str(nth), *_arguments(single, folder))
    assert killed.code == -signal.SIGKILL
    left = _whole(folder)
    assert len(left) == nth - 1
    assert left.items() <= before.items()
    assert co.stage(single, folder).code == 0
    assert _same(folder, before)


def test_a_training_job_that_is_killed_is_followed_by_the_same_files(single: Checkout) -> None:
    folder = single.path("artifacts/train/*-L1-imp-o0-*")
    before = co.contents(folder)
    shutil.rmtree(folder)
    command = [sys.executable, "-m", "pipeline_lib", *_arguments(single, folder)]
    job = subprocess.Popen(command, cwd=single.root, env=co.environment(), stderr=subprocess.DEVNULL)
    time.sleep(1)
    job.kill()
    assert job.wait() == -signal.SIGKILL
    assert _whole(folder).items() <= before.items() if folder.exists() else True
    assert co.stage(single, folder).code == 0
    assert _same(folder, before)


@pytest.mark.parametrize(
    ("damaged", "target"),
    [
        ("train/*-L0-o0-*/state.safetensors", "prune/*"),
        ("prune/*/mask.safetensors", "rewind/*"),
        ("train/*-L0-o0-*/runs.parquet", "tabulate/*-runs-*"),
        ("tabulate/*-instability-*/table.parquet", "derive/*-means-*"),
    ],
)
@pytest.mark.parametrize("share", [0.4, 0.99])
def test_a_flipped_bit_is_refused_by_what_reads_it(single: Checkout, damaged: str, target: str, share: float) -> None:
    path, folder = single.path(f"artifacts/{damaged}"), single.path(f"artifacts/{target}")
    _flip(path, share)
    before = co.contents(folder)
    outcome = co.stage(single, folder)
    assert outcome.code == 1
    (line,) = outcome.text.strip().splitlines()
    assert line.startswith(f"error: artifact {path.relative_to(single.root)} must ")
    assert "; remove" in line
    assert "run again" in line
    assert co.contents(folder) == before


def test_an_artifact_whose_record_is_gone_is_refused(single: Checkout) -> None:
    parent = single.path("artifacts/train/*-L0-o0-*")
    (parent / "spec.json").unlink()
    outcome = co.stage(single, single.path("artifacts/prune/*"))
    assert outcome.code == 1
    expected = (
        f"error: artifact {parent.relative_to(single.root)} must have its spec.json, got none; remove the folder and run again"
    )
    assert outcome.text.strip() == expected


@pytest.mark.parametrize("place", ["artifact", "copy", "truncated copy"])
def test_a_damaged_table_is_not_passed_on(single: Checkout, place: str) -> None:
    copy, table = single.results / "single" / "runs.parquet", single.path("artifacts/tabulate/single-runs-*") / "table.parquet"
    before = co.contents(single.results / "single")
    path, remedy = (table, table.parent) if place == "artifact" else (copy, copy)
    if place == "truncated copy":
        path.write_bytes(path.read_bytes()[:100])
    else:
        _flip(path, 0.5)
    outcome = co.snakemake(single)
    assert outcome.code == 1
    assert f"{path.relative_to(single.root)} must be" in outcome.text
    assert ("; remove" if place == "artifact" else "; move it away") in outcome.text
    assert "Traceback" not in outcome.text
    shutil.rmtree(remedy) if remedy.is_dir() else remedy.unlink()
    co.succeed(single)
    assert co.contents(single.results / "single") == before


def test_a_published_table_stays_although_its_artifact_is_gone(single: Checkout) -> None:
    before = co.contents(single.results / "single")
    shutil.rmtree(single.path("artifacts/tabulate/single-runs-*"))
    (single.results / "single" / "interpolation.parquet").unlink()  # so that there is something to do
    co.succeed(single)
    assert co.contents(single.results / "single") == before


def test_two_drivers_and_a_killed_job_are_followed_by_the_same_tables(single: Checkout) -> None:
    before = co.contents(single.results / "single")
    for name in ("artifacts/train", "artifacts/tabulate", "single"):
        shutil.rmtree(single.results / name)
    with (single.root / "first.log").open("wb") as log:
        command = [sys.executable, *co.snakemake_command(single, cores=1)]
        first = subprocess.Popen(command, cwd=single.root, env=co.environment(), stdout=log, stderr=log)
        while (job := _job(first, "train")) is None:
            assert first.poll() is None, (single.root / "first.log").read_text(encoding="utf-8")
            time.sleep(0.02)
        second = co.snakemake(single)
        job.kill() if job.is_running() else None  # as the kernel does when memory runs out
        first.wait()
    assert second.code == 1
    assert "cannot be locked" in second.text
    assert "unlock" in second.text
    co.succeed(single)
    assert co.contents(single.results / "single") == before


@pytest.mark.parametrize("shift", [-(10**8), 10**8])
def test_a_clock_that_was_wrong_makes_nothing_run_again(single: Checkout, shift: int) -> None:
    for i, path in enumerate(sorted(path for path in single.results.rglob("*") if path.is_file())):
        os.utime(path, (time.time() + shift * (i % 3), time.time() + shift * (i % 3)))
    assert co.dry(single) == {}


def _write_idx(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    path.write_bytes(bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes())


def _write_mnist(root: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for part, num in (("train", 12), ("t10k", 5)):
        for name, high, shape in (("images-idx3", 256, (num, 28, 28)), ("labels-idx1", 10, (num,))):
            _write_idx(root / "MNIST" / "raw" / f"{part}-{name}-ubyte", rng.integers(0, high, shape).astype(np.uint8))


def test_data_that_change_after_they_were_prepared_change_nothing(tmp_path: Path) -> None:
    raw = toys.raw_config(tmp_path / "results", seeds=1, orders=1, rewind=[0], levels=0, figures=["learning_curves"])
    raw["tasks"]["toy"] |= {"dataset": {"name": "mnist", "num_train": 12}, "batch_size": 4}
    made, found = toys.make_plan(raw | {"data_root": str(tmp_path)}), []
    plan_file = driver.write_plan(made, [])
    for seed in (0, 1):
        _write_mnist(tmp_path, seed)
        for stage in ("prepare", "pretrain", "train"):
            node = next(node for node in made.nodes.values() if node.stage == stage)
            if stage != "prepare" or seed == 0:
                driver.run_node(stage, made.config.results / node.folder, plan_file)
        found.append(co.contents(made.config.results / "artifacts"))
    assert found[0] == found[1]
    driver.run_node("prepare", made.config.results / next(iter(made.nodes.values())).folder, plan_file)
    assert co.contents(made.config.results / "artifacts") != found[0]


def _wait_for(checkout: Checkout, pattern: str, driver: subprocess.Popen[bytes]) -> None:
    while not list(checkout.results.glob(pattern)):
        assert driver.poll() is None, "the run ended before it made anything"
        time.sleep(0.05)


def test_a_killed_driver_is_followed_by_the_same_results(single: Checkout) -> None:
    tables_before = co.contents(single.results / "single")
    for stage in ("train", "interpolate", "tabulate"):
        shutil.rmtree(single.results / "artifacts" / stage)
    shutil.rmtree(single.results / "single")
    command = [sys.executable, *co.snakemake_command(single)]
    with (single.root / "killed.log").open("wb") as log:
        driver = subprocess.Popen(command, cwd=single.root, env=co.environment(), stdout=log, stderr=log)
        _wait_for(single, "artifacts/train/*/runs.parquet", driver)
        os.kill(driver.pid, signal.SIGKILL)
        driver.wait()
    locked = co.snakemake(single)
    assert locked.code == 1
    assert "unlock" in locked.text
    co.succeed(single, "--unlock")
    co.succeed(single)  # while jobs that the killed driver left behind may still write
    assert co.contents(single.results / "single") == tables_before
    assert not list(single.results.rglob("*.part"))
    assert co.dry(single) == {}
