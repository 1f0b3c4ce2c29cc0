"""Artifacts that are damaged, foreign or do not fit, and places that cannot be written to."""

from __future__ import annotations

import os
import resource
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import checkout as co
import numpy as np
import pytest
from checkout import Checkout, Outcome
from safetensors.numpy import save_file

from pipeline_lib.store import artifacts


def _assert_one_line(outcome: Outcome, *expected: str) -> None:
    """Check that an error is one line that has thing, rule, finding and remedy."""
    assert outcome.code == 1, outcome.text
    errors = [line for line in outcome.text.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, outcome.text
    assert outcome.text.strip().splitlines()[-1] == errors[0]
    assert "Traceback" not in outcome.text
    assert [text for text in ("must", "got", "; ", *expected) if text not in errors[0]] == [], errors[0]


def _assert_untouched(checkout: Checkout, before: dict[str, str]) -> None:
    after = co.contents(checkout.results / "artifacts")
    assert not [name for name in after if name.endswith(".part")]
    assert after == before


def _truncate(path: Path, size: int) -> None:
    with path.open("r+b") as file:
        file.truncate(size)


@pytest.mark.parametrize("size", [0, 4, 500, 3000])
def test_a_truncated_state_is_refused(single: Checkout, size: int) -> None:
    _truncate(single.path("artifacts/train/*-L0-o0-*") / "state.safetensors", size)
    before = co.contents(single.results / "artifacts")
    outcome = co.stage(single, single.path("artifacts/prune/*"))
    _assert_one_line(outcome, "state.safetensors must be a whole safetensors file", "remove the folder", "run again")
    _assert_untouched(single, before)


@pytest.mark.parametrize("size", [0, 4, 3000])
def test_a_truncated_table_is_refused(single: Checkout, size: int) -> None:
    _truncate(single.path("artifacts/train/*-L0-o0-*") / "runs.parquet", size)
    before = co.contents(single.results / "artifacts")
    outcome = co.stage(single, single.path("artifacts/tabulate/single-runs-*"))
    _assert_one_line(outcome, "runs.parquet must be a whole Parquet file", "remove the folder", "run again")
    _assert_untouched(single, before)


def test_a_truncated_plan_is_refused(single: Checkout) -> None:
    plan, target = single.plan_file(), single.path("artifacts/tabulate/single-runs-*")
    _truncate(plan, plan.read_bytes().index(target.name.encode()))  # in the middle of the line that the job needs
    assert co.stage(single, target).code == 1
    _truncate(plan, 0)
    _assert_one_line(co.stage(single, target), "must be whole", plan.name)


def test_all_files_of_a_run_have_the_modes_that_the_umask_gives(single: Checkout) -> None:
    mask = os.umask(0)
    os.umask(mask)
    names = ("artifacts", "single", "plans", "index.parquet")
    paths = [path for name in names for path in (single.results / name, *(single.results / name).rglob("*"))]
    assert len({path.suffix for path in paths}) > 5
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in paths}
    assert {path: oct(mode) for path, mode in modes.items() if mode != (0o777 if path.is_dir() else 0o666) & ~mask} == {}


def test_a_missing_parent_is_named(single: Checkout) -> None:
    (single.path("artifacts/train/*-L0-o0-*") / "state.safetensors").unlink()
    outcome = co.stage(single, single.path("artifacts/prune/*"))
    _assert_one_line(outcome, "state.safetensors must exist", "run the stage that makes it")


def test_an_artifact_of_another_node_is_refused(single: Checkout) -> None:
    other = single.path("artifacts/train/*-L1-imp-o0-*") / "state.safetensors"
    shutil.copy(other, single.path("artifacts/train/*-L0-o0-*") / "state.safetensors")
    before = co.contents(single.results / "artifacts")
    outcome = co.stage(single, single.path("artifacts/prune/*"))
    _assert_one_line(outcome, "must belong to its folder", other.parent.name[-12:], "remove it and run again")
    _assert_untouched(single, before)


def test_a_foreign_file_is_refused(single: Checkout) -> None:
    save_file({"x": np.zeros(3)}, single.path("artifacts/train/*-L0-o0-*") / "state.safetensors")
    before = co.contents(single.results / "artifacts")
    outcome = co.stage(single, single.path("artifacts/prune/*"))
    _assert_one_line(outcome, "must have been made by this pipeline", "foreign file", "remove it and run again")
    _assert_untouched(single, before)


def _replace_mask(checkout: Checkout, change: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]) -> None:
    path = checkout.path("artifacts/prune/*") / "mask.safetensors"
    arrays, meta = artifacts.read_arrays(path)
    assert meta["key"] == path.parent.name[-12:]
    artifacts.write_arrays(path, change(arrays), meta)


@pytest.mark.parametrize("target", ["rewind/*", "train/*-L1-imp-o0-*"])
def test_a_mask_of_another_shape_is_refused(single: Checkout, target: str) -> None:
    _replace_mask(single, lambda arrays: {name: np.ascontiguousarray(array[:, :-1]) for name, array in arrays.items()})
    before = co.contents(single.results / "artifacts")
    outcome = co.stage(single, single.path(f"artifacts/{target}"))
    _assert_one_line(outcome, "mask of", "must have shape", "use a mask made for this network")
    _assert_untouched(single, before)


@pytest.mark.parametrize("target", ["rewind/*", "train/*-L1-imp-o0-*"])
def test_a_mask_of_another_network_is_refused(single: Checkout, target: str) -> None:
    _replace_mask(single, lambda arrays: {f"{name}.other": array for name, array in arrays.items()})
    outcome = co.stage(single, single.path(f"artifacts/{target}"))
    _assert_one_line(outcome, "mask must fit the network", "use its own mask")


def test_verbose_shows_the_traceback(single: Checkout) -> None:
    _truncate(single.path("artifacts/train/*-L0-o0-*") / "state.safetensors", 100)
    outcome = co.stage(single, single.path("artifacts/prune/*"), "--verbose")
    assert outcome.code == 1
    assert "Traceback" in outcome.text


def test_a_run_reports_a_truncated_artifact_in_one_line(single: Checkout) -> None:
    _truncate(single.path("artifacts/train/*-L0-o0-*") / "state.safetensors", 100)
    folder = single.path("artifacts/prune/*")
    shutil.rmtree(folder)
    before = co.contents(single.results / "artifacts")
    outcome = co.snakemake(single, str((folder / "mask.safetensors").relative_to(single.root)))
    assert outcome.code == 1
    assert "state.safetensors must be a whole safetensors file" in outcome.text
    assert "Traceback" not in outcome.text
    _assert_untouched(single, before)


def test_results_that_cannot_be_made_are_named(empty: Checkout) -> None:
    (empty.root / "blocked").write_text("a file", encoding="utf-8")
    empty.configure({**co.TINY, "results": "blocked"})
    outcome = co.snakemake(empty)
    assert outcome.code == 1
    assert "must be writable" in outcome.text
    assert "set results in the config" in outcome.text
    assert "Traceback" not in outcome.text
    planned = co.call(empty.root, "-m", "pipeline_lib", "plan", str(empty.config), "--write")
    assert planned.code == 1
    assert "must be writable" in planned.text.splitlines()[-1]
    assert (empty.root / "blocked").read_text(encoding="utf-8") == "a file"


def test_an_artifact_folder_that_cannot_be_made_is_named(single: Checkout) -> None:
    folder = single.path("artifacts/tabulate/single-runs-*")
    shutil.rmtree(folder)
    folder.write_text("a file", encoding="utf-8")
    _assert_one_line(co.stage(single, folder), "table.parquet must be writable", "set results in the config")
    assert folder.read_text(encoding="utf-8") == "a file"


def _files_of_at_most(size: int) -> Callable[[], None]:
    """Make every file that outgrows a size fail to be written, as on a full disk; this binds for root too."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def _largest(folder: Path) -> int:
    return max(path.stat().st_size for path in folder.iterdir())


@pytest.mark.parametrize("target", ["prune/*", "train/*-L1-imp-o0-*", "interpolate/*-L0-o2-*", "tabulate/*-runs-*"])
@pytest.mark.parametrize("room", [100, -1], ids=["for 100 bytes", "for all but a byte"])
def test_a_full_disk_leaves_nothing_half_written(single: Checkout, target: str, room: int) -> None:
    before, folder = co.contents(single.results / "artifacts"), single.path(f"artifacts/{target}")
    size = room % _largest(folder)
    outcome = co.stage(single, folder, preexec_fn=_files_of_at_most(size))
    _assert_one_line(outcome, "must be writable", "File too large", "free space on its disk")
    _assert_untouched(single, before)


def test_a_run_on_a_full_disk_leaves_nothing_half_written(single: Checkout) -> None:
    folder = single.path("artifacts/prepare/*")
    size = _largest(folder) - 1  # more than Snakemake writes itself, such as its copies of the rules
    target = str(max(folder.iterdir(), key=lambda path: path.stat().st_size).relative_to(single.root))
    shutil.rmtree(folder)
    before = co.contents(single.results / "artifacts")
    outcome = co.snakemake(single, target, preexec_fn=_files_of_at_most(size))
    assert outcome.code == 1
    assert "must be writable" in outcome.text
    assert "Traceback" not in outcome.text
    _assert_untouched(single, before)
    co.succeed(single, target)
