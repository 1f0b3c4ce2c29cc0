"""One job: what a stage is told, and what it may ask."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

log = logging.getLogger("pipeline_lib")


class Preempted(BaseException):
    """The job was asked to stop, and has saved what it needs to go on."""


@dataclass(frozen=True)
class Job:
    """One node to make.

    Args:
        key: the node's key.
        spec: what to make.
        folder: where to.
        reads: folders of the artifacts to read, by role.
        data_root: folder of the data sets, or None.
    """

    key: str
    spec: dict[str, Any]
    folder: Path
    reads: dict[str, list[Path]]
    data_root: Path | None = None

    def file(self, role: str, name: str) -> Path:
        """Path of a file of the only artifact in a role."""
        return self.reads[role][0] / name

    def meta(self, **more: Any) -> dict[str, Any]:
        """Header of an artifact: its node, and the versions that made it."""
        from importlib.metadata import version

        versions = {name: version(name) for name in ("torch", "numpy", "safetensors")}
        return {"key": self.key, "spec": self.spec, "versions": versions, **more}
