"""Whether artifacts are still what was written: every file against the digest that its job left beside it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

RECORD = "spec.json"


def digests(folder: Path) -> dict[str, str]:
    """Hash the files of an artifact by name, without its record and hidden files."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    return {name: _sha256(folder / name) for name in names if name != RECORD and not name.startswith(".")}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def written(record: Path) -> dict[str, str]:
    """Read the digests of an artifact's files from its record; none from a damaged one."""
    try:
        return dict(json.loads(record.read_text(encoding="utf-8"))["sha256"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}


_MARK = re.compile(rb"rewind:[0-9a-f]{12}")


def mark(key: str) -> str:
    """Word what a file says of the node that it was made for."""
    return f"rewind:{key}"


def marked(content: bytes) -> bool:
    """Tell whether a file's content says that a job of this pipeline made it."""
    return _MARK.search(content) is not None


def check(path: Path) -> None:
    """Refuse a file that is not what its job wrote, by the record beside it; a file without one is let pass.

    Raises:
        ValueError: the record is damaged, or its digest is not the file's.
    """
    remedy = f"remove the folder {path.parent} and run again"
    try:
        written = dict(json.loads((path.parent / RECORD).read_text(encoding="utf-8"))["sha256"])
    except FileNotFoundError:
        return
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError(f"record {path.parent / RECORD} must be what its job wrote, got a damaged file; {remedy}") from None
    if written.get(path.name) != _sha256(path):
        raise ValueError(f"artifact {path} must be what its job wrote, got another content; {remedy}")


def _faults(folder: Path) -> Iterator[str]:
    """Say what is wrong with one artifact."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        written = dict(record["sha256"])
    except FileNotFoundError:
        yield f"{folder}: no {RECORD}, its job did not end"
        return
    except (ValueError, KeyError, TypeError, RecursionError):
        yield f"{folder}: {RECORD} is damaged, or older than digests"
        return
    found = digests(folder)
    yield from (f"{folder}: {name} is gone" for name in sorted(written.keys() - found.keys()))
    yield from (
        f"{folder}: {name} is not what was written" for name in sorted(written) if found.get(name, written[name]) != written[name]
    )


def verify(results: Path) -> tuple[int, list[str]]:
    """Check all artifacts of a results folder, several at a time.

    Args:
        results: the folder.

    Returns:
        How many artifacts there are, and a line for each fault.
    """
    folders = sorted((results / "artifacts").glob("*/*/"))
    with ThreadPoolExecutor() as pool:
        return len(folders), [fault for faults in pool.map(lambda folder: list(_faults(folder)), folders) for fault in faults]
