"""What a checked config says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Experiment:
    """One experiment, checked and complete; `tasks` maps each task's name to its full description."""

    name: str
    tasks: dict[str, dict[str, Any]]
    seeds: tuple[int, ...]
    orders: tuple[int, ...]
    rewind: tuple[int, ...]
    levels: int
    sparse_level: int
    pruning: dict[str, Any]
    controls: tuple[str, ...]
    alphas: int
    splits: tuple[str, ...]
    figures: tuple[str, ...]


@dataclass(frozen=True)
class Config:
    """All that was asked for; `resolved` is the merged text of it, for telling whether it has changed."""

    results: Path
    data_root: Path | None
    per_job: dict[str, int]
    fingerprints: dict[str, str]
    experiments: dict[str, Experiment]
