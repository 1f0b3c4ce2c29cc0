"""Whose a file is: the key of its node, and for tables a seal in the file itself, as headers of safetensors files have one."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline_lib.core import files

if TYPE_CHECKING:
    import pyarrow as pa

NAME = b"rewind"  # of the entry in a table's metadata
_KEY = re.compile(r".*-([0-9a-f]{12})")
_BLANK = "0" * 64  # where the seal goes, while the file is hashed
# What a damaged file can make Arrow raise, beside its own errors and those of the system.
_DAMAGE = (KeyError, TypeError, ValueError, AttributeError, IndexError, RuntimeError, OverflowError, MemoryError)


def key_of(folder: Path) -> str:
    """Read the key off an artifact's folder; of any other folder it is empty."""
    found = _KEY.fullmatch(folder.name)
    return found[1] if found else ""


def belongs(folder: Path, key: str) -> bool:
    """Tell whether a node's files are where their key says; a folder that is a link must not lead to another node's."""
    return folder.name.endswith(f"-{key}") and (not folder.is_symlink() or key_of(folder.resolve()) in ("", key))


def write_table(path: Path, table: pa.Table, key: str) -> None:
    """Write a Parquet file with a node's key and a digest of the whole file, but for the digest itself, in its metadata."""
    import pyarrow.parquet as pq

    with pq.ParquetWriter(path, table.schema) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({NAME.decode(): json.dumps({"key": key, "sealed": _BLANK})})
    content = path.read_bytes()
    at = content.rindex(_BLANK.encode())  # metadata are a Parquet file's end
    with path.open("r+b") as file:
        file.seek(at)
        file.write(hashlib.sha256(content).hexdigest().encode())


def _is_whole(content: bytes, seal: str) -> bool:
    at, view, whole = content.rfind(seal.encode()), memoryview(content), hashlib.sha256()
    for part in (view[:at], _BLANK.encode(), view[at + len(seal) :]):
        whole.update(part)
    return whole.hexdigest() == seal


def key_in(content: bytes) -> str:
    """Read the key off the content of a table that a job of this pipeline wrote; of anything else it is empty."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        found = json.loads((pq.read_metadata(pa.BufferReader(content)).metadata or {})[NAME])
        return str(found["key"]) if _is_whole(content, found["sealed"]) else ""
    except (pa.ArrowException, OSError, RecursionError, *_DAMAGE):
        return ""


def read_table(path: Path) -> tuple[pa.Table, bool]:
    """Read a table, and tell whether it is sealed; one in an artifact's folder must be, as that node's.

    A copy for users, in any other folder, may be sealed or not: they save tables anew.

    Raises:
        ValueError: the file is missing, may not be read, is damaged, foreign, or another node's.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    content, own = files.read(path), key_of(path.parent)
    remedy = f"remove the folder {path.parent} and run again"
    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        text = (file.metadata.metadata or {}).get(NAME)
        key, seal = ("", "") if text is None else ((found := json.loads(text))["key"], found["sealed"])
        whole = text is None or _is_whole(content, seal)
        table = file.read()
    except (pa.ArrowException, OSError, RecursionError, *_DAMAGE) as error:
        raise ValueError(f"artifact {path} must be a whole Parquet file, got: {error}; {remedy}") from None
    if own and text is None:
        raise ValueError(f"artifact {path} must have been made by this pipeline, got a foreign file; {remedy}")
    if not whole:
        raise ValueError(f"artifact {path} must be what its job wrote, got another content; {remedy}")
    if own and not belongs(path.parent, key):
        raise ValueError(f"artifact {path} must belong to its folder, got the file of node {key}; {remedy}")
    return table, text is not None
