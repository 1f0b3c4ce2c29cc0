"""Files of MNIST and CIFAR: fetched over https, checked against their checksums, and read without running what they say.

CIFAR's files are pickles, which can run anything when they are opened. They are opened only if their checksum is right, from the
same bytes that were checked, by a reader that can build lists, texts, numbers and arrays and knows no other function.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import pickle
import tarfile
import urllib.request
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

from pipeline_lib.core import files

_LARGEST = 2**30  # bytes; CIFAR's archives have 170 million


def _require_https(url: str) -> None:
    if not url.startswith("https://"):
        raise ValueError(f"address must begin with https://, got {url}; fetch the files by hand and set data_root")


class _OnlyHttps(urllib.request.HTTPRedirectHandler):
    """Follows a redirection to https only."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        """Check where it leads."""
        _require_https(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open(url: str) -> IO[bytes]:
    opened: IO[bytes] = urllib.request.build_opener(_OnlyHttps).open(url, timeout=60)
    return opened


def checked(content: bytes, md5: str, what: str) -> bytes:
    """Return bytes whose checksum is right.

    Raises:
        ValueError: it is not.
    """
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != md5:
        raise ValueError(f"{what} must have MD5 {md5}, got {found}; it is damaged or another file")
    return content


def fetch(url: str, md5: str) -> bytes:
    """Download a file of at most a gigabyte.

    Raises:
        ValueError: the address, or one that it leads to, is not https, or the checksum is wrong.
        OSError: the network says no.
    """
    _require_https(url)
    with _open(url) as response:
        return checked(response.read(_LARGEST), md5, url)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    private = files.private(path)
    try:
        private.write_bytes(content)
        private.replace(path)
    finally:
        private.unlink(missing_ok=True)


def fetch_gzip(url: str, md5: str, path: Path) -> None:
    """Download a file and unpack it, unless it is there."""
    if not path.is_file():
        _write(path, gzip.decompress(fetch(url, md5)))


def fetch_tar(url: str, md5: str, root: Path, names: list[str]) -> None:
    """Download an archive and write the named members, unless they are there; what else it holds stays in it."""
    if all((root / name).is_file() for name in names):
        return
    with tarfile.open(fileobj=io.BytesIO(fetch(url, md5)), mode="r:gz") as archive:
        for name in names:
            member = archive.extractfile(name)  # its content; no path, link or mode of the archive is followed
            if member is None:
                raise ValueError(f"archive {url} must hold the file {name}, got something else; report it")
            _write(root / name, member.read())


class _Arrays(pickle.Unpickler):
    """Builds what CIFAR's files consist of; any other function is refused before it is called."""

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        """Look up one of four names."""
        rebuild = np.zeros(0).__reduce__()[0]  # numpy's own, wherever this version keeps it
        known: dict[str, Any] = {"_reconstruct": rebuild, "ndarray": np.ndarray, "dtype": np.dtype}
        if module in ("numpy", "numpy.core.multiarray", "numpy._core.multiarray") and name in known:
            return known[name]
        if (module, name) == ("_codecs", "encode"):
            return lambda text, _="latin1": text.encode("latin1")
        raise ValueError(f"function must be one that rebuilds an array, got {module}.{name}; this is not a file of CIFAR")


def read_batch(path: Path, md5: str) -> dict[str, Any]:
    """Read a file of CIFAR whose checksum is right.

    Raises:
        ValueError: the checksum is wrong, or the file asks for more than arrays.
        OSError: it cannot be read.
    """
    content = checked(path.read_bytes(), md5, path.name)
    found: dict[str, Any] = _Arrays(io.BytesIO(content), encoding="latin1").load()
    return found


def read_idx(path: Path, num_dimensions: int) -> np.ndarray:
    """Read bytes in the idx format: magic number, sizes, data; unpacked, or packed beside where they would be.

    Raises:
        ValueError: the file is damaged or of another kind.
        OSError: it cannot be read.

    Source: LeCun, Cortes and Burges, the MNIST database.
    """
    packed = path.with_name(f"{path.name}.gz")
    try:
        content = gzip.decompress(packed.read_bytes()) if packed.is_file() and not path.is_file() else path.read_bytes()
    except (EOFError, zlib.error) as error:
        raise ValueError(f"{packed.name} must be whole, got: {error}; replace it") from None
    begin = 4 + 4 * num_dimensions
    shape = [int.from_bytes(content[at : at + 4], "big") for at in range(4, begin, 4)]
    if content[:4] != bytes([0, 0, 8, num_dimensions]) or len(content) != begin + math.prod(shape):
        rule = f"an idx file of bytes in {num_dimensions} dimensions"
        raise ValueError(f"{path.name} must be {rule}, got {content[:4].hex()} and {len(content)} bytes; replace it")
    return np.frombuffer(content, np.uint8, offset=begin).reshape(shape).copy()
