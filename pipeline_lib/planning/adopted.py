"""What counts as made by other code than its own: the record of it, beside the plans of a results folder.

A key that the code of today gives a node stands for the artifact of an earlier key. The artifact stays as it is, and so do the
keys of all that reads it. `adoption` finds what could be recorded here.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline_lib.core import files
from pipeline_lib.planning.declared import STAGES
from pipeline_lib.store import artifacts, verification

FILE = "plans/adopted.json"
_FOLDER = re.compile(r"artifacts/[a-z_]+/[A-Za-z0-9_-]+-([0-9a-f]{12})")
_CODE = re.compile(r"[0-9a-f]{12}")


@dataclass(frozen=True)
class Kept:
    """One artifact that counts as another node.

    Args:
        key: the node's, by the code for which it counts.
        folder: the artifact's, under the results folder.
        made_by: digest of the code that made it.
        counts_for: digest of the code by which it counts as made.
        since: the day on which it was said.
    """

    key: str
    folder: str
    made_by: str
    counts_for: str
    since: str

    @property
    def own_key(self) -> str:
        """The artifact's own key."""
        return self.folder.rpartition("-")[2]

    @property
    def stage(self) -> str:
        """The stage that made it."""
        return self.folder.split("/")[1]


def _parsed(entry: dict[str, Any]) -> Kept:
    kept = Kept(**entry)
    codes = (kept.key, kept.made_by, kept.counts_for)
    if not (_FOLDER.fullmatch(kept.folder) and all(map(_CODE.fullmatch, codes)) and isinstance(kept.since, str)):
        raise ValueError(f"entry {entry}")
    return kept


def read(results: Path) -> list[Kept]:
    """Read what counts as made by other code.

    Raises:
        ValueError: the record is damaged or cannot be read.
    """
    path = results / FILE
    try:
        return [_parsed(entry) for entry in json.loads(path.read_text(encoding="utf-8"))]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise files.refusal(path, error, "record") from None
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        remedy = "remove it, and say again what is to be kept with: rewind adopt CONFIG --keep STAGE"
        raise ValueError(f"record {path} must be what adopt wrote, got: {error}; {remedy}") from None


def write(results: Path, kept: Iterable[Kept]) -> None:
    """Write the whole record anew, in one stroke; a later entry of a key replaces an earlier one."""
    path, entries = results / FILE, {each.key: vars(each) for each in kept}
    if entries:
        artifacts.write_text(path, json.dumps(list(entries.values()), indent=1) + "\n")
    else:
        path.unlink(missing_ok=True)


def forget(results: Path) -> str:
    """Let nothing count as made by other code any more; the artifacts stay."""
    num = len(read(results))
    write(results, [])
    return f"{num} artifacts count as made by their own code alone again"


def is_there(results: Path, folder: str) -> bool:
    """Tell whether all files of an artifact exist, or are gone on purpose."""
    stage = folder.split("/")[1]
    return stage in STAGES and verification.is_whole(results / folder, STAGES[stage].files)


def there(results: Path) -> dict[str, str]:
    """Map keys of nodes to keys of the artifacts that stand for them, of those that are there.

    What is gone has to be made again, which only the code of today can do, under a key of its own.

    Raises:
        ValueError: the record is damaged or cannot be read.
    """
    return {kept.key: kept.own_key for kept in read(results) if is_there(results, kept.folder)}


def report(results: Path, keys: Collection[str] | None = None) -> list[str]:
    """Say what counts as made by other code, a line a stage and code.

    Args:
        results: the results folder.
        keys: the nodes that matter, by today's keys; None for all that was ever recorded.

    Raises:
        ValueError: the record is damaged or cannot be read.
    """
    there = [kept for kept in read(results) if (keys is None or kept.key in keys) and is_there(results, kept.folder)]
    found = Counter((kept.stage, kept.counts_for, kept.made_by, kept.since) for kept in there)
    return [
        f"{stage}: {num} artifact{'s' * (num > 1)} of code {made_by} count{'s' * (num == 1)} as made by code {counts_for}, "
        f"kept on {since}"
        for (stage, counts_for, made_by, since), num in sorted(found.items())
    ]
