"""What is asked for: config files with overrides, the same for all commands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline_lib.experiments import config_files, origins, overrides
from pipeline_lib.experiments.experiment import Config
from pipeline_lib.experiments.validation import read_yaml
from pipeline_lib.planning import driver
from pipeline_lib.planning.nodes import Plan

_DOTTED = "override, such as lenet_mnist.levels=15 (of an experiment or task) or results=/scratch/r; may be repeated"
Files = Annotated[list[Path], typer.Argument(metavar="CONFIG...", help="config files", show_default=False)]
Configs = Annotated[list[str], typer.Option("--config", metavar="KEY=VALUE", help="override of a key at the top, as YAML")]
Sets = Annotated[list[str], typer.Option("--set", metavar="NAME.KEY=VALUE", help=_DOTTED)]
Only = Annotated[str | None, typer.Option("--experiment", help="of the config's experiments this one alone")]
Results = Annotated[Path, typer.Option("--results", help="the results folder, without a config")]
Json = Annotated[bool, typer.Option("--json", help="as JSON, for scripts")]
PrintConfig = Annotated[bool, typer.Option("--print-config", help="print the complete config, and where each value comes from")]


@dataclass(frozen=True)
class Request:
    """Config files, and what is laid over them.

    Args:
        files: the config files.
        configs: overrides `KEY=VALUE` of keys at the top.
        sets: overrides `NAME.KEY=VALUE`; they win.
        experiment: the only experiment that is asked for, or None for all.
    """

    files: Sequence[Path]
    configs: Sequence[str] = ()
    sets: Sequence[str] = ()
    experiment: str | None = None

    @cached_property
    def overrides(self) -> dict[str, Any]:
        """All overrides as one mapping."""
        return overrides.read(self.files, self.configs, self.sets) | self._only

    @property
    def _only(self) -> dict[str, Any]:
        return {} if self.experiment is None else {"only": [self.experiment]}

    def config(self) -> Config:
        """Read and check what is asked for."""
        return config_files.read(self.files, self.overrides)

    def told(self) -> str:
        """Write the complete config, with where each value comes from."""
        layers = overrides.layers(self.files, self.configs, self.sets)
        said = [("--experiment", self._only), *layers.items(), *((f"file:{file}", read_yaml(file)) for file in self.files)]
        return origins.report(self.config(), said)

    def plan(self) -> Plan:
        """Plan it."""
        return driver.load(self.files, self.overrides)

    def words(self) -> list[str]:
        """Write it as words of a command line."""
        given = [("--config", each) for each in self.configs] + [("--set", each) for each in self.sets]
        given += [] if self.experiment is None else [("--experiment", self.experiment)]
        return [*map(str, self.files), *(word for pair in given for word in pair)]
