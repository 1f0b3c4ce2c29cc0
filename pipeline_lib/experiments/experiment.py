"""What a checked config says."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pipeline_lib.experiments.settings.options import Grid


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
        keep: "measured" if states may go once all is measured that reads them, else "all".
        plugins: files outside of the package that have functions which the config names.
        brought: paths of the files that it brings, by the digest of their bytes.
        adopted: keys that stand for artifacts of other code, and those artifacts' own keys.
    """

    results: Path
    data_root: Path | None
    experiments: dict[str, Experiment]
    environment: str = "record"
    keep: str = "all"
    plugins: tuple[str, ...] = ()
    brought: dict[str, str] = field(default_factory=dict)
    adopted: dict[str, str] = field(default_factory=dict)
