"""What a checked config says."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Grid:
    """One task's part of an experiment, checked and complete.

    Args:
        task: its full description; lengths are in steps.
        lineage: names of the descriptions that it is made of: its own, its base's and so on.
        per_job: replicates that one job trains.
    """

    task: dict[str, Any]
    lineage: tuple[str, ...]
    per_job: dict[str, int]
    seeds: tuple[int, ...]
    orders: tuple[int, ...]
    rewind: tuple[int, ...]
    levels: int
    sparse_level: int
    pruning: dict[str, Any]
    controls: tuple[str, ...]
    alphas: int
    splits: tuple[str, ...]
    batchnorm: tuple[str, ...]
    throughout: dict[str, Any] | None
    layerwise: bool
    perturbed: tuple[int, ...]
    starts: tuple[str, ...]
    pretraining: dict[str, Any] | None
    telemetry: dict[str, Any] | None
    curvature: dict[str, Any] | None
    connectivity: dict[str, Any] | None
    planes: dict[str, Any] | None
    limits: dict[str, Any] | None
    adaptive: dict[str, Any] | None
    retraining: tuple[str, ...]
    lemma: dict[str, Any] | None


@dataclass(frozen=True)
class Experiment:
    """One experiment: a grid for each of its tasks, by name, the figures that are wanted of all, and claims to judge."""

    name: str
    grids: dict[str, Grid]
    figures: tuple[str, ...]
    claims: tuple[str, ...]


@dataclass(frozen=True)
class Config:
    """All that was asked for.

    Args:
        results: the folder of all results.
        data_root: folder of the data sets, or None.
        experiments: by name.
        environment: "strict" if it is to be part of keys, else "record".
        adopted: keys that stand for artifacts of other code, and those artifacts' own keys.
    """

    results: Path
    data_root: Path | None
    experiments: dict[str, Experiment]
    environment: str = "record"
    adopted: dict[str, str] = field(default_factory=dict)
