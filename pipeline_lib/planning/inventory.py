"""What a results folder has: its artifacts, by the records that their jobs left."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline_lib.planning.declared import STAGES
from pipeline_lib.planning.keys.fingerprint import FORMAT
from pipeline_lib.store import verification
from pipeline_lib.store.environment import Environment

_ROOTS = ("prepare", "wells")  # stages that read no artifact, so that the first job of a run is theirs
Parents = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Artifact:
    """An artifact, as its record or a plan has it.

    Args:
        stage: which stage makes it.
        label: readable part of its folder's name.
        key: its key.
        spec: all that the stage was told.
        parents: keys of what it reads, by role.
        code: digest of the code that made it; empty if nobody took it down.
        format: of files, as `fingerprint.FORMAT` was then.
        time: when its record was written, in seconds.
        made: what it was made in, as far as its record says.
    """

    stage: str
    label: str
    key: str
    spec: Mapping[str, Any]
    parents: Parents
    code: str = ""
    format: int = 0
    time: float = 0.0
    made: Environment | None = None

    @property
    def folder(self) -> str:
        """Path under the results folder."""
        return f"artifacts/{self.stage}/{self.label}-{self.key}"

    @property
    def what(self) -> str:
        """All but code and key, for looking it up."""
        return signature(self.stage, self.spec, self.parents)


_encode = json.JSONEncoder(sort_keys=True).encode


def signature(stage: str, spec: Mapping[str, Any], parents: Parents) -> str:
    """Word what an artifact is but for its code."""
    return _encode([stage, spec, {role: list(keys) for role, keys in parents.items()}])


def read(folder: Path) -> Artifact | None:
    """Read an artifact's record; None if it is unfinished, damaged or foreign."""
    stage = folder.parent.name
    try:
        found = verification.record(folder)
        parents = {str(role): tuple(map(str, keys)) for role, keys in found["parents"].items()}
        time, key, code, form = (
            (folder / verification.RECORD).stat().st_mtime,
            found["key"],
            found.get("code"),
            found.get("format"),
        )
        if found["stage"] != stage or stage not in STAGES or not isinstance(found["spec"], dict):
            return None
        label = folder.name.removesuffix(f"-{key}")
        own = code if isinstance(code, str) else ""
        made = Environment(found["processor"], found["versions"]) if {"processor", "versions"} <= found.keys() else None
        return Artifact(stage, label, key, found["spec"], parents, own, form if isinstance(form, int) else 0, time, made)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def artifacts(results: Path) -> Iterator[Artifact]:
    """List all finished artifacts of a results folder."""
    for folder in sorted((results / "artifacts").glob("*/*/")):
        found = read(folder)
        if found:
            yield found


def leftover(results: Path, command: str) -> str | None:
    """Say, until the first artifact with a key of today's kind is made, that a results folder has others, and how to remove them.

    Args:
        results: the folder.
        command: what removes what is left over.
    """
    roots = [read(folder) for stage in _ROOTS for folder in sorted((results / "artifacts" / stage).glob("*/"))]
    made = [root for root in roots if root]
    if not made or any(root.format == FORMAT for root in made):
        return None
    return (
        f"{results} holds artifacts with keys of an earlier kind: they are made once more, under new keys; "
        f"what is left over then is removed by: {command}"
    )


def paths(spec: Any, place: str = "") -> dict[str, Any]:
    """Flatten a spec: each value by its path, such as `task.optimiser.lr`."""
    if isinstance(spec, Mapping) and spec:
        return {
            at: v for name, value in spec.items() for at, v in paths(value, f"{place}.{name}" if place else str(name)).items()
        }
    return {place: spec}


def spec_differences(
    before: Mapping[str, Any], after: Mapping[str, Any], words: tuple[str, str] = ("before", "now")
) -> list[str]:
    """List the paths in which two specs differ, with both values.

    Args:
        before: one.
        after: the other.
        words: what to call them.
    """
    first, second = paths(before), paths(after)
    return [
        f"{at}: {first.get(at, 'none')} {words[0]}, {second.get(at, 'none')} {words[1]}"
        for at in sorted({*first, *second})
        if first.get(at, "none") != second.get(at, "none")
    ]
