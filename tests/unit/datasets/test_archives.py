from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import struct
import tarfile
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline_lib.datasets import _archives


class Bait:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._path,)


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


@pytest.fixture
def served(monkeypatch):
    """What a download gives, by address."""
    files: dict[str, bytes] = {}
    monkeypatch.setattr(_archives, "_open", lambda url: io.BytesIO(files[url]))
    return files


@pytest.mark.parametrize("url", ["http://a.org/x", "ftp://a.org/x", "file:///etc/passwd", "/etc/passwd", "HTTPS//x", ""])
def test_only_https_is_opened(url, served):
    served[url] = b"x"
    with pytest.raises(ValueError, match=r"address must begin with https://, got .*; fetch the files by hand and set data_root"):
        _archives.fetch(url, md5(b"x"))


def test_a_redirection_from_https_to_http_is_refused():
    handler, request = _archives._OnlyHttps(), urllib.request.Request("https://a.org/x")
    with pytest.raises(ValueError, match=r"address must begin with https://, got http://b.org"):
        handler.redirect_request(request, None, 302, "", {}, "http://b.org")
    assert handler.redirect_request(request, None, 302, "", {}, "https://b.org").full_url == "https://b.org"


def test_another_file_than_expected_is_not_kept(tmp_path, served):
    served["https://a.org/x.gz"] = gzip.compress(b"wrong")
    with pytest.raises(ValueError, match=r"x.gz must have MD5 0{32}, got"):
        _archives.fetch_gzip("https://a.org/x.gz", "0" * 32, tmp_path / "raw" / "x")
    assert not list(tmp_path.rglob("*"))


def test_a_file_is_fetched_once(tmp_path, served):
    packed = gzip.compress(b"right")
    served["https://a.org/x.gz"] = packed
    for _ in range(2):
        _archives.fetch_gzip("https://a.org/x.gz", md5(packed), tmp_path / "raw" / "x")
        served.clear()
    assert (tmp_path / "raw" / "x").read_bytes() == b"right"
    assert [path.name for path in (tmp_path / "raw").iterdir()] == ["x"]


def _tar(members: list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def test_of_an_archive_only_the_named_files_are_written(tmp_path, served):
    link = tarfile.TarInfo("cifar/link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc"
    names = ("cifar/a", "../outside", "/tmp/absolute", "cifar/link/passwd", "cifar/other")
    packed = _tar([(link, b""), *((tarfile.TarInfo(name), name.encode()) for name in names)])
    served["https://a.org/c.tar.gz"] = packed
    _archives.fetch_tar("https://a.org/c.tar.gz", md5(packed), tmp_path / "root", ["cifar/a"])
    files = [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file() or path.is_symlink()]
    assert files == ["root/cifar/a"]
    assert (tmp_path / "root/cifar/a").read_bytes() == b"cifar/a"


@pytest.mark.parametrize("name", ["cifar", "none"])
def test_an_archive_without_the_file_is_an_error(tmp_path, served, name):
    folder = tarfile.TarInfo("cifar")
    folder.type = tarfile.DIRTYPE
    packed = _tar([(folder, b"")])
    served["https://a.org/c.tar.gz"] = packed
    with pytest.raises((ValueError, KeyError), match=r"must hold the file|not found"):
        _archives.fetch_tar("https://a.org/c.tar.gz", md5(packed), tmp_path, [name])


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_a_batch_is_read_as_it_was_written(tmp_path, protocol):
    content = pickle.dumps({"data": np.arange(6, dtype=np.uint8).reshape(2, 3), "labels": [1, 2], "name": "x"}, protocol)
    (tmp_path / "batch").write_bytes(content)
    found = _archives.read_batch(tmp_path / "batch", md5(content))
    assert found["data"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert (found["labels"], found["name"]) == ([1, 2], "x")


@pytest.mark.parametrize("make", [Bait, lambda path: print, lambda path: eval, lambda path: np.load, lambda path: np.testing])
def test_a_batch_with_the_right_checksum_still_runs_nothing(tmp_path, make):
    bait = tmp_path / "created"
    made = make(bait)
    content = b"cnumpy\ntesting\n." if made is np.testing else pickle.dumps({"data": made}, 2)
    (tmp_path / "batch").write_bytes(content)
    with pytest.raises(ValueError, match=r"function must be one that rebuilds an array, got .*; this is not a file of CIFAR"):
        _archives.read_batch(tmp_path / "batch", md5(content))
    assert not bait.exists()


def test_a_batch_with_another_checksum_is_not_opened(tmp_path, monkeypatch):
    monkeypatch.setattr(_archives._Arrays, "load", lambda self: pytest.fail("it was opened"))
    (tmp_path / "batch").write_bytes(pickle.dumps({}))
    with pytest.raises(ValueError, match=r"batch must have MD5 0{32}, got"):
        _archives.read_batch(tmp_path / "batch", "0" * 32)


def _idx(kind: int, shape: tuple[int, ...], content: bytes) -> bytes:
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, kind, len(shape), *shape) + content


def test_an_idx_file_is_read(tmp_path):
    (tmp_path / "x").write_bytes(_idx(8, (2, 3), bytes(range(6))))
    assert _archives.read_idx(tmp_path / "x", 2).tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\0\0\x08", _idx(8, (6,), bytes(6)), _idx(9, (2, 3), bytes(6)), _idx(8, (2, 3), bytes(5)),
        _idx(8, (2, 3), bytes(7)), _idx(8, (2**32 - 1, 2**32 - 1), b""), pickle.dumps(1),
    ],
)  # fmt: skip
def test_another_file_is_no_idx_file(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(ValueError, match=r"x must be an idx file of bytes in 2 dimensions, got .*; replace it"):
        _archives.read_idx(tmp_path / "x", 2)
