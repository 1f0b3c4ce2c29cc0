from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline_lib.core import files


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _text(path: Path, text: str = "x") -> None:
    files.write_atomic(path, lambda own: own.write_text(text) and None)


@pytest.mark.parametrize(
    ("error", "shown", "message"),
    [
        (OSError("disk full"), ValueError, r"file .*state\.safetensors must be writable, got: disk full; free space"),
        (RuntimeError("a mistake of ours"), RuntimeError, "a mistake of ours"),
    ],
)
def test_a_failed_write_leaves_nothing(tmp_path, error, shown, message):
    def fail(own: Path) -> None:
        own.write_text("half")
        raise error

    with pytest.raises(shown, match=message):
        files.write_atomic(tmp_path / "state.safetensors", fail)
    assert _names(tmp_path) == []


def test_a_failed_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "a"
    _text(path, "old")

    def fail(own: Path) -> None:
        own.write_text("new")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        files.write_atomic(path, fail)
    assert path.read_text() == "old"
    assert _names(tmp_path) == ["a"]


def test_the_file_appears_only_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "a"

    def write(own: Path) -> None:
        assert own.parent == path.parent
        own.write_text("first half")
        assert not path.exists()
        own.write_text("whole")

    files.write_atomic(path, write)
    assert path.read_text() == "whole"


@contextmanager
def _umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize(("mask", "file", "folder"), [(0o022, 0o644, 0o755), (0o007, 0o660, 0o770), (0o077, 0o600, 0o700)])
@pytest.mark.parametrize("left", [None, 0o600])
def test_the_umask_decides_who_may_read(tmp_path, mask, file, folder, left):
    path = tmp_path / "folder" / "a"

    def write(own: Path) -> None:
        own.write_text("x")
        if left is not None:
            own.chmod(left)  # as a library does that gives its files to their owner alone

    with _umask(mask):
        files.write_atomic(path, write)
    assert [stat.S_IMODE(p.stat().st_mode) for p in (path, path.parent)] == [file, folder]


def test_private_names_are_nobody_elses(tmp_path, monkeypatch):
    """Two containers with one file system: host names may be equal, process numbers as well."""
    path = tmp_path / "a.parquet"
    assert files.private(path) != files.private(path)
    found = files._PRIVATE.fullmatch(files.private(path).name)
    assert found
    assert (found["place"], int(found["process"])) == (files.place(), os.getpid())
    monkeypatch.setattr(files.platform, "node", lambda: "ä node.with/odd\x1b[31m characters" * 9)
    files.place.cache_clear()
    odd = files.private(path).name
    files.place.cache_clear()
    assert files._PRIVATE.fullmatch(odd)
    assert len(odd) < 120


def test_equal_process_numbers_do_not_tear_a_write(tmp_path, monkeypatch):
    path = tmp_path / "a"

    def write(own: Path) -> None:
        own.write_text("mine")
        _text(path, "the other container's")  # at the same time, under the same number
        assert own.read_text() == "mine"

    monkeypatch.setattr(files.os, "getpid", lambda: 1)
    files.write_atomic(path, write)
    assert path.read_text() == "mine"
    assert _names(tmp_path) == ["a"]


def _dead() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_what_killed_processes_left_is_removed(tmp_path):
    here, dead = files.place(), _dead()
    left = [f".a.safetensors.{here}.{number}.01234567.part" for number in (dead, 10**30)]
    kept = [
        f".a.safetensors.{here}.{os.getpid()}.01234567.part",
        f".a.safetensors.another-{here}.{dead}.01234567.part",  # whose number this is only its own machine knows
        f".a.safetensors.{dead}.part",
        "a.part",
        ".resume.safetensors",
    ]
    for name in (*left, *kept):
        (tmp_path / name).write_text("half")
    files.remove_leftovers(tmp_path)
    assert _names(tmp_path) == sorted(kept)
    long_ago = time.time() - files._LEFT_SECONDS - 60
    for name in kept:
        os.utime(tmp_path / name, (long_ago, long_ago))
    files.remove_leftovers(tmp_path)
    assert _names(tmp_path) == [".resume.safetensors", "a.part"]


def test_a_file_that_is_not_there_is_not_one_that_may_not_be_read(tmp_path):
    with pytest.raises(ValueError, match=r"plan .*a must exist, got no such file; plan again"):
        files.read(tmp_path / "a", "plan", "plan again")
    (tmp_path / "b").write_text("")
    with pytest.raises(ValueError, match=r"artifact .*/b/c must exist, got no such file; run the stage that makes it"):
        files.read(tmp_path / "b" / "c")
    with pytest.raises(ValueError, match=r"artifact .* must be readable, got: Is a directory; check its disk"):
        files.read(tmp_path)
    denied = files.refusal(tmp_path / "b", PermissionError(13, "Permission denied"))
    assert "must be readable, got no permission; ask its owner" in str(denied)
