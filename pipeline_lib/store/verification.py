"""Whether artifacts are still what was written: every file against the digest that its job left beside it."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline_lib.core import files
from pipeline_lib.store import environment, seals

RECORD = "spec.json"
LET_GO = "let_go"  # in a record: digests of files that were removed since all that reads them was made


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


def is_whole(folder: Path, names: Iterable[str]) -> bool:
    """Tell whether an artifact is made: its record is there, and each of its files, or they are gone on purpose."""
    missing = {name for name in names if not (folder / name).is_file()}
    return (folder / RECORD).is_file() and (not missing or missing <= gone(folder).keys())


def gone(folder: Path) -> dict[str, str]:
    """Read the digests of an artifact's files that a run let go since all that reads them was made (`keep: measured`)."""
    try:
        return dict(record(folder).get(LET_GO, {}))
    except (OSError, ValueError, TypeError):
        return {}


def without_tensors(results: Path) -> int:
    """Count the artifacts of a results folder whose states or masks a run let go."""
    return sum(bool(gone(folder)) for folder in _folders(results))


def remade_by(folder: Path) -> str:
    """Word the command that makes again what was let go of an artifact."""
    results = folder.parents[2]
    where = "" if results == Path("results") else f" --results {shlex.quote(str(results))}"
    return f"rewind remake {seals.key_of(folder)}{where}"


_MARK = re.compile(rb"rewind:([0-9a-f]{12})")


def mark(key: str) -> str:
    """Word what a file says of the node that it was made for."""
    return f"rewind:{key}"


def marked(content: bytes) -> str:
    """Read the key of the node that a file's content says it was made for; where it says nothing, it is empty."""
    found = _MARK.search(content)
    return found[1].decode() if found else ""


def record(folder: Path) -> dict[str, Any]:
    """Read what an artifact's job left beside it, last of all.

    Raises:
        FileNotFoundError: there is none; the job has not ended.
        ValueError: it is damaged, may not be read, or belongs to another node.
    """
    path, remedy = folder / RECORD, f"remove the folder {folder} and run again"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        whole = isinstance(found["sha256"], dict) and isinstance(found["key"], str) and _are_places(found.get("made_in", {}))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise files.refusal(path, error, "record") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        whole = False
    if not whole:
        raise ValueError(f"record {path} must be what its job wrote, got a damaged file; {remedy}")
    if not seals.belongs(folder, found["key"]):
        raise ValueError(f"record {path} must belong to its folder, got the record of node {found['key']}; {remedy}")
    return dict(found)


def _are_places(made: Any) -> bool:
    lists = made.values() if isinstance(made, dict) else [None]
    return all(isinstance(stages, list) and all(isinstance(stage, str) for stage in stages) for stages in lists)


def made_in(folders: Iterable[Path]) -> environment.Made:
    """Join what artifacts were made in, by their records; what has none tells nothing.

    Raises:
        ValueError: a record is damaged, or another node's.
    """
    found = []
    for folder in folders:
        with suppress(FileNotFoundError):
            found.append(record(folder).get("made_in", {}))
    return environment.united(found)


def check(path: Path, sealed: bool = False) -> None:
    """Refuse a file that is not what its job wrote, by the record beside it; a file without one is let pass.

    Args:
        path: the file.
        sealed: whether it has spoken for its own content.

    Raises:
        ValueError: the record is damaged or another node's, or its digest is not the file's.
    """
    try:
        written = record(path.parent)["sha256"]
    except FileNotFoundError:
        return
    if not sealed and written.get(path.name) != hashlib.sha256(files.read(path)).hexdigest():
        remedy = f"remove the folder {path.parent} and run again"
        raise ValueError(f"artifact {path} must be what its job wrote, got another content; {remedy}")


def _faults(folder: Path) -> Iterator[str]:
    """Say what is wrong with one artifact; one whose job has not ended has no fault."""
    try:
        written, found = record(folder)["sha256"], digests(folder)
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        yield f"{folder}: {error}"
        return
    yield from (f"{folder}: {name} is gone" for name in sorted(written.keys() - found.keys()))
    yield from (
        f"{folder}: {name} is not what was written" for name in sorted(written) if found.get(name, written[name]) != written[name]
    )


def unfinished(results: Path) -> list[Path]:
    """List the folders without a record: their jobs are at work, or were interrupted and run again when they are needed."""
    return [folder for folder in _folders(results) if not _has_ended(folder)]


def _has_ended(folder: Path) -> bool:
    try:
        (folder / RECORD).stat()
    except FileNotFoundError:
        return False
    except OSError:  # a fault, and told as one
        pass
    return True


def _folders(results: Path) -> list[Path]:
    return sorted((results / "artifacts").glob("*/*/"))


def verify(results: Path) -> tuple[int, list[str]]:
    """Check all artifacts of a results folder, several at a time.

    Args:
        results: the folder.

    Returns:
        How many artifacts there are, and a line for each fault.
    """
    folders = _folders(results)
    with ThreadPoolExecutor() as pool:
        return len(folders), [fault for faults in pool.map(lambda folder: list(_faults(folder)), folders) for fault in faults]
