"""The files of checkpoints and masks that a config brings: where they are, and what their bytes are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline_lib.core import files, locations, registry
from pipeline_lib.experiments.brought import Brought, Own
from pipeline_lib.experiments.settings.keys import complete
from pipeline_lib.experiments.settings.whole import Checkpoint

KINDS = {"checkpoints": "checkpoint", "masks": "mask"}  # keys of a config, and what each of their files is


def beside(raw: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Write out the paths of a config's files, which are relative to the folder that it lies in."""
    found: dict[str, Any] = {}
    for kind in KINDS:
        listed = raw.get(kind)
        for name, said in listed.items() if isinstance(listed, Mapping) else ():
            file = said.get("file") if isinstance(said, Mapping) else None
            near = isinstance(file, str) and file[:1] not in ("~", "$")
            found.setdefault(kind, {})[name] = {**said, "file": str(folder / str(file))} if near else said
    return found


def digested(raw: Mapping[str, Any], tasks: Iterable[str]) -> dict[str, Any]:
    """Read the files once: absolute paths, and the digests of their bytes, beside what a config says of them.

    Args:
        raw: the config; its shape is checked.
        tasks: the names of all tasks.

    Raises:
        ValueError: a file cannot be read, or a checkpoint is of a task that does not exist.
    """
    found: dict[str, Any] = {}
    for kind, what in KINDS.items():
        for name, said in (raw.get(kind) or {}).items():
            if "of" in said and said["of"] not in tasks:
                raise registry.unknown(f"{kind}.{name}.of", said["of"], list(tasks))
            path = Path(locations.expanded(f"{kind}.{name}.file", said["file"])).resolve()
            content = files.read(path, what, f"check its path under {kind}")
            found.setdefault(kind, {})[name] = {**said, "file": str(path), "sha256": hashlib.sha256(content).hexdigest()}
    return found


def of_task(raw: Mapping[str, Any], task: Mapping[str, Any]) -> Own:
    """Give what is brought for a task, of a config whose files are digested."""
    checkpoints = []
    for name, said in (raw.get("checkpoints") or {}).items():
        if said["of"] == task["name"]:
            given = {key: value for key, value in said.items() if key != "sha256"}
            step = complete(Checkpoint, f"checkpoints.{name}", given, task=task).step
            checkpoints.append(Brought(name, said["sha256"], step))
    return Own(tuple(checkpoints), tuple(Brought(name, said["sha256"]) for name, said in (raw.get("masks") or {}).items()))


def places(raw: Mapping[str, Any]) -> dict[str, str]:
    """Give the path of each file by its digest."""
    return {said["sha256"]: said["file"] for kind in KINDS for said in (raw.get(kind) or {}).values()}
