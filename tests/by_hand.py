"""Artifacts written by hand, for tests of one stage alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pipeline_lib.core.types import State
from pipeline_lib.store import artifacts
from pipeline_lib.store.job import Job

Arrays = dict[str, np.ndarray]


def state(root: Path, key: str, members: list[Arrays], diverged: list[bool], **meta: Any) -> Path:
    """Write prunable weights, one dict a member, as the file of a state; they are all there is."""
    folder, names = root / f"state-{key}", list(members[0])
    arrays = {f"params/{name}": np.stack([member[name] for member in members]) for name in names}
    head = {"key": key, "prunable": names, "params": names, "diverged": diverged, "step": 0}
    artifacts.write_arrays(folder / "state.safetensors", arrays, head | meta)
    return folder


def whole_state(root: Path, key: str, members: list[State], prunable: list[str], diverged: list[bool]) -> Path:
    """Write states with all their parameters and buffers."""
    folder = root / f"state-{key}"
    head = {"key": key, "prunable": prunable, "params": list(members[0].params), "diverged": diverged}
    artifacts.write_states(folder / "state.safetensors", members, head)
    return folder


def mask(root: Path, key: str, members: list[Arrays], diverged: list[bool]) -> Path:
    """Write masks, one a member."""
    folder = root / f"mask-{key}"
    arrays = {name: np.stack([member[name] for member in members]) for name in members[0]}
    artifacts.write_arrays(
        folder / "mask.safetensors", arrays, {"key": key, "diverged": diverged, "empty": [False] * len(members)}
    )
    return folder


def job(root: Path, spec: dict[str, Any], reads: dict[str, list[Path]]) -> Job:
    """Make the job that reads them."""
    return Job("made", spec, root / "out-made", reads)
