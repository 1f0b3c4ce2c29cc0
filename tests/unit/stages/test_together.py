"""Several nodes in one process: each artifact as if it were made alone, and no failure takes another with it."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import toys

from pipeline_lib import __main__ as cli
from pipeline_lib.planning import driver, nodes
from pipeline_lib.stages.support import training
from pipeline_lib.store import artifacts, resumption
from pipeline_lib.store.job import Preempted
from pipeline_lib.training import loop

FILES = ("state.safetensors", "runs.parquet", "curves.parquet")


def _plan(results: Path) -> nodes.Plan:
    raw = toys.raw_config(results, levels=0, figures=["instability_dense"])
    return toys.make_plan(raw | {"per_job": {"seeds": 1, "orders": 1}})


def _trained(made: nodes.Plan) -> list[Path]:
    return [made.config.results / node.folder for node in made.nodes.values() if node.stage == "train"]


def _together(folders: list[Path], file: Path) -> list[Exception | None]:
    """Make nodes in one process: of each why it failed, or None."""
    found: dict[Path, Exception | None] = {}

    def ended(folder: Path, why: Exception | None) -> None:
        assert folder not in found, "a node ends once"
        assert why or (folder / "spec.json").is_file(), "it is told when its record is there"
        found[folder] = why

    driver.run_together("train", folders, file, ended)
    return [found[folder] for folder in folders]


@pytest.fixture(scope="module")
def usual(tmp_path_factory) -> nodes.Plan:
    """Each node made alone."""
    made = _plan(tmp_path_factory.mktemp("usual"))
    file = driver.write_plan(made, [])
    for node in made.nodes.values():
        if node.stage in ("prepare", "pretrain", "rewind", "train"):
            driver.run_node(node.stage, made.config.results / node.folder, file)
    return made


@pytest.fixture
def begun(usual, tmp_path) -> tuple[list[Path], Path]:
    """Folders of what is to be trained, all else being made, and the plan file."""
    made = _plan(tmp_path)
    shutil.copytree(usual.config.results / "artifacts", tmp_path / "artifacts")
    shutil.rmtree(tmp_path / "artifacts" / "train")
    folders = _trained(made)
    assert len(folders) > 4
    return folders, driver.write_plan(made, [])


@pytest.fixture(params=["in turn", "side by side"], autouse=True)
def order(request, monkeypatch) -> None:
    """Members as a CPU trains them, and as a GPU does."""
    monkeypatch.setattr(loop, "_side_by_side", lambda members: request.param == "side by side")


def _assert_made(usual: nodes.Plan, folders: list[Path]) -> None:
    for folder in folders:
        for name in FILES:
            there = usual.config.results / folder.relative_to(folder.parents[2])
            assert (folder / name).read_bytes() == (there / name).read_bytes(), f"{folder.name}/{name}"
        assert (folder / "spec.json").is_file()
        assert not (folder / resumption.NAME).exists()


def test_artifacts_are_those_made_alone(usual, begun):
    folders, file = begun
    assert _together(folders, file) == [None] * len(folders)
    _assert_made(usual, folders)


def test_what_cannot_be_read_fails_alone(usual, begun):
    folders, file = begun
    trained = [node for node in usual.nodes.values() if node.stage == "train"]
    (start,) = trained[1].parents["start"]
    damaged = folders[1].parents[2] / usual.nodes[start].folder / "state.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-8])
    lost = [start in node.parents["start"] for node in trained]
    found = _together([*folders, folders[0].with_name("x-0123456789ab")], file)
    assert [error is not None for error in found] == [*lost, True]
    assert any(lost)
    assert not all(lost)
    _assert_made(usual, [folder for folder, is_lost in zip(folders, lost, strict=True) if not is_lost])


def _failing(real: Callable[..., None], folder: Path, times: int) -> Callable[..., None]:
    tries: list[Path] = []

    def write(path: Path, *arguments: object) -> None:
        if path.parent == folder and len(tries) < times:
            tries.append(path)
            raise OSError(28, "No space left on device", str(path))
        real(path, *arguments)

    return write


def test_what_cannot_be_written_fails_alone_and_is_made_another_time(usual, begun, monkeypatch):
    folders, file = begun
    monkeypatch.setattr(artifacts, "write_rows", _failing(artifacts.write_rows, folders[2], 1))
    found = _together(folders, file)
    assert [type(error) for error in found] == [OSError if folder == folders[2] else type(None) for folder in folders]
    assert _together([folders[2]], file) == [None]
    _assert_made(usual, folders)


def test_a_fault_while_all_train_is_met_by_its_own_job_alone(usual, begun, monkeypatch):
    folders, file = begun
    record = training.Reporter._record

    def faulty(self: training.Reporter, progress: object) -> None:
        if self._setting.job.folder == folders[0]:
            raise OSError(28, "No space left on device", "here")
        record(self, progress)

    monkeypatch.setattr(training.Reporter, "_record", faulty)
    found = _together(folders, file)
    assert [type(error) for error in found] == [OSError] + [type(None)] * (len(folders) - 1)
    _assert_made(usual, folders[1:])


def test_all_are_kept_when_the_process_is_told_to_stop_and_go_on(usual, begun, monkeypatch, request):
    folders, file = begun
    report, seen, before = resumption.Keeper.report, [], signal.getsignal(signal.SIGTERM)

    def stopping(self: resumption.Keeper, *arguments: object) -> None:
        seen.append(self.path)
        if len(seen) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        report(self, *arguments)

    monkeypatch.setattr(resumption.Keeper, "report", stopping)
    with pytest.raises(Preempted):
        _together(folders, file)
    assert signal.getsignal(signal.SIGTERM) == before
    kept = [folder for folder in folders if (folder / resumption.NAME).is_file()]
    assert len(kept) == (len(folders) if "side by side" in request.node.callspec.id else 1)
    assert _together(folders, file) == [None] * len(folders)
    _assert_made(usual, folders)


@pytest.mark.parametrize("shared", [False, True])
def test_a_command_line_may_name_several_folders(usual, begun, monkeypatch, capsys, shared):
    folders, file = begun
    monkeypatch.setattr(cli, "_side_by_side", lambda stage: shared)
    strange = folders[0].with_name("x-0123456789ab")
    words = ["train", *map(str, [folders[0], strange, *folders[1:]]), "--plan", str(file)]
    assert cli.main(words) == 1
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "0123456789ab" in errors[0]
    _assert_made(usual, folders)
