"""The plan on disk: what jobs read their node from."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline_lib.nodes import Plan

# Where artifacts lie under the results folder: no name leaves it, or means something to a shell.
_FOLDER = re.compile(r"artifacts/[a-z]+/[A-Za-z0-9_-]+-[0-9a-f]{12}")


def to_lines(plan: Plan, inputs: dict[str, str]) -> Iterable[str]:
    """Write a plan as JSON lines: a header, then one node a line, found by its key without parsing the others.

    Args:
        plan: the plan.
        inputs: hash of each config file's content, for telling later whether it has changed.
    """
    root = str(plan.config.data_root) if plan.config.data_root else None
    yield json.dumps({"inputs": inputs, "data_root": root, "fingerprints": plan.config.fingerprints})
    for node in plan.nodes.values():
        body = asdict(node) | {"folder": node.folder}
        body["reads"] = {role: [n.folder for n in nodes] for role, nodes in plan.parents(node).items()}
        yield json.dumps({"key": node.key} | body)


def _checked(header: Any, line: Any, key: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Check what jobs rely on: kinds of facts, and that all folders lie where artifacts do."""
    facts: dict[str, Any] = {"inputs": dict, "fingerprints": dict, "data_root": (str, type(None))}
    if not all(isinstance(header[name], kind) for name, kind in facts.items()):
        raise ValueError("a header of another kind")
    if not all(isinstance(line[name], dict) for name in ("spec", "parents", "reads")):
        raise ValueError("a node of another kind")
    for folder in [line["folder"], *(folder for folders in line["reads"].values() for folder in folders)]:
        if not _FOLDER.fullmatch(folder):
            raise ValueError(f"folder {folder!r}")
    if line["key"] != key or line["folder"] != f"artifacts/{line['stage']}/{line['label']}-{key}":
        raise ValueError(f"folder {line['folder']!r} for node {key}")
    return header, line


def find_line(path: Path, key: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read a plan file's header and the node of a key.

    Raises:
        ValueError: there is no such file or node.
    """
    try:
        with path.open(encoding="utf-8") as lines:
            header = json.loads(next(lines))
            for line in lines:
                if line.startswith(f'{{"key": "{key}"'):
                    return _checked(header, json.loads(line), key)
    except (FileNotFoundError, StopIteration):
        raise ValueError(f"plan must exist, got {path}; make it with: python -m pipeline_lib plan CONFIG --write") from None
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ValueError(f"plan {path} must be whole, got: {error}; remove it and start the run again") from None
    raise ValueError(f"node must be part of the plan {path.name}, got key {key}; plan again")
