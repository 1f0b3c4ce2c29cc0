"""What it would take to measure the claims that were not: runs, training steps, and hours where a record tells a task's speed."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline_lib.experiments import config
from pipeline_lib.experiments.experiment import Experiment
from pipeline_lib.experiments.figure_needs import FIGURES
from pipeline_lib.experiments.runs import Run, with_ancestors
from pipeline_lib.experiments.settings.options import Grid
from pipeline_lib.experiments.validation import read_yaml
from pipeline_lib.planning import estimate

_TASK = "task "  # how `needs` begins where a whole task is lacking
_MORE = re.compile(r"(?P<number>\d+) (?P<key>seeds|levels)")  # or longer grids


@dataclass(frozen=True)
class Cost:
    """What a paper's experiment asks for on one task.

    Args:
        config: the file that has the experiment, as seen from the root.
        runs: networks that it trains, over seeds.
        steps: of training, over runs.
        hours: that training takes one process; NaN where no job has told how fast the task is. Measuring comes on top.
    """

    config: str
    runs: int
    steps: int
    hours: float

    def __str__(self) -> str:
        """Word it."""
        hours = "unknown hours" if math.isnan(self.hours) else f"{self.hours:,.1f} h of training"
        return f"{self.runs:,} runs, {self.steps:,} steps, {hours}"


def trained(grid: Grid, figures: Iterable[str]) -> tuple[int, int]:
    """Count the runs that figures need of a task, equal ones once, and their steps, over seeds.

    Where training is followed, a plan has the first order of a dense run twice: for its ladder, and with the states on its way.
    """
    runs: set[Run] = set()
    for figure in figures:
        runs |= with_ancestors(grid, FIGURES[figure].runs(grid))
    steps = sum(grid.task["steps"] - run.start.step() for run in runs)
    return len(runs) * len(grid.seeds), steps * len(grid.seeds)


class Costs:
    """What papers' experiments cost, by the configs that come with the package.

    Args:
        results: the folder whose records tell how fast tasks are.
    """

    def __init__(self, results: Path) -> None:
        self._results = results
        self._known: dict[tuple[str, str], Cost | None] = {}

    @cached_property
    def _experiments(self) -> list[tuple[str, Experiment]]:
        """Those of the configs that come with the package, each with its file."""
        paths = sorted((config.ROOT / "config" / "experiments").glob("*.yaml"))
        whole = [(str(path.relative_to(config.ROOT)), config.resolve(read_yaml(path))) for path in paths]
        return [(file, e) for file, asked in whole for e in asked.experiments.values()]

    @cached_property
    def _rates(self) -> dict[str, float]:
        return estimate.rates_of(self._results)

    def _made(self, paper: str, task: str) -> Cost | None:
        for file, e in self._experiments:
            if paper in e.claims and task in e.grids:
                runs, steps = trained(e.grids[task], e.figures)
                rate = self._rates.get(estimate.kind_of("train", {"task": e.grids[task].task}), math.nan)
                return Cost(file, runs, steps, rate * steps / 3600)
        return None

    def of(self, claim: Mapping[str, Any]) -> Cost | None:
        """Say what measuring a claim takes that needs a whole task; None of others, and where no config of the paper has it.

        Args:
            claim: a row of a table of claims.
        """
        needs = claim.get("needs")
        if not isinstance(needs, str) or not needs.startswith(_TASK):
            return None
        who = str(claim["family"]).removeprefix("paper "), needs.removeprefix(_TASK)
        if who not in self._known:
            self._known[who] = self._made(*who)
        return self._known[who]


def _told_by(needs: str, experiment: str, found: Cost | None) -> str:
    """Word the command that tells all that it takes, where there is one."""
    if found:
        return f"rewind plan {found.config} --calibrate"
    more = _MORE.fullmatch(needs)
    return f"rewind plan CONFIG --set {experiment}.{more['key']}={more['number']}" if more else "rewind plan CONFIG that has it"


def rows(claims: Iterable[Mapping[str, Any]], costs: Costs) -> list[dict[str, Any]]:
    """List what claims that were not measured need, most needed first, each with what that takes.

    Args:
        claims: rows of tables of claims, with their experiment.
        costs: what papers' experiments cost.
    """
    lost = [row for row in claims if row["verdict"] == "not measured" and row.get("needs")]
    first = {(row["family"], row["needs"]): row for row in reversed(lost)}
    found = []
    for (family, needs), number in Counter((row["family"], row["needs"]) for row in lost).most_common():
        row = first[family, needs]
        cost = costs.of(row)
        numbers = {name: getattr(cost, name, None) for name in ("runs", "steps", "hours")}
        told = _told_by(needs, row["experiment"], cost)
        found.append({"paper": family, "needs": needs, "claims": number, **numbers, "told_by": told})
    return found
