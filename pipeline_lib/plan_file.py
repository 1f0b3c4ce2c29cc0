"""The plan on disk: what jobs read their node from."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline_lib.nodes import Plan


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
                    return header, json.loads(line)
    except (FileNotFoundError, StopIteration):
        raise ValueError(f"plan must exist, got {path}; make it with: python -m pipeline_lib plan CONFIG --write") from None
    raise ValueError(f"node must be part of the plan {path.name}, got key {key}; plan again")
