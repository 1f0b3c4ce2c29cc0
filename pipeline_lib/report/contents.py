"""What a report is about: an experiment, its part of a plan, and the tables and figures that are there."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline_lib.experiments.experiment import Experiment
from pipeline_lib.planning import plan_file, publication
from pipeline_lib.planning.nodes import Node, Plan
from pipeline_lib.tables import tabulation

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Contents:
    """An experiment and what is there of it.

    Args:
        plan: that the experiment is part of.
        experiment: the experiment.
        tables: those that are this plan's and whole, by name.
        figures: names of those that are this plan's.
        faults: what is wrong with damaged tables, a line each.
    """

    plan: Plan
    experiment: Experiment
    tables: dict[str, pd.DataFrame]
    figures: frozenset[str]
    faults: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Where the experiment's tables are published."""
        return self.plan.config.results / self.experiment.name

    @property
    def ordered_figures(self) -> list[str]:
        """Figures that the plan draws, in the order of the config."""
        return [name for name in self.experiment.figures if name in self.plan.figures[self.experiment.name]]

    @property
    def missing(self) -> dict[str, list[str]]:
        """Names of tables and figures that the plan makes and that are not there, by kind."""
        tables = [name for name in self.plan.tables[self.experiment.name] if name not in self.tables]
        return {"figures": [name for name in self.ordered_figures if name not in self.figures], "tables": tables}

    @cached_property
    def nodes(self) -> list[Node]:
        """All artifacts that the experiment's tables and figures come from."""
        left = [*self.plan.tables[self.experiment.name].values(), *self.plan.figures[self.experiment.name].values()]
        found: dict[str, Node] = {}
        while left:
            node = left.pop()
            if node.key not in found:
                found[node.key] = node
                left += (self.plan.nodes[key] for keys in node.parents.values() for key in keys)
        return list(found.values())


def read(plan: Plan, experiment: str) -> Contents:
    """Read what is published of an experiment; what an earlier config or other code made of it does not count.

    Args:
        plan: what config and code make now.
        experiment: its name.
    """
    results, published = plan.config.results, plan_file.published(plan)
    there = {name for name in published if publication.is_current(results, published, name)}
    tables, faults = {}, []
    for name in plan.tables[experiment]:
        if f"{experiment}/{name}.parquet" in there:
            try:
                tables[name] = tabulation.read(results / experiment / f"{name}.parquet")
            except ValueError as error:
                faults.append(str(error))
    figures = frozenset(name for name in plan.figures[experiment] if f"{experiment}/figures/{name}.svg" in there)
    return Contents(plan, plan.config.experiments[experiment], tables, figures, tuple(faults))


def title(name: str) -> str:
    """Make a heading of a name in a config."""
    return name.replace("_", " ").capitalize()


def anchor(kind: str, *names: str) -> str:
    """Make the id that links lead to: `figure-paths_dense`, `claim-B-1-lenet_mnist`."""
    return "-".join([kind, *(re.sub(r"[^A-Za-z0-9_-]+", "_", name) for name in names)])


def listed(words: Iterable[object]) -> str:
    """Write values in a row."""
    return ", ".join(map(str, words))
