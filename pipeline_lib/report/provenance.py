"""Where an experiment was computed, how long its stages took, and what sharing runs between figures saved."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline_lib.planning import adopted, estimate, ledger, plan_file
from pipeline_lib.planning.declared import STAGES
from pipeline_lib.planning.nodes import Node
from pipeline_lib.report.contents import Contents
from pipeline_lib.store import environment, verification

_TRAINING = ("train", "trace")
_GONE = "states and masks of {} artifacts were let go once all was measured (keep: measured)"


@dataclass(frozen=True)
class Spent:
    """A stage: its artifacts that are made, all of them, jobs whose time is recorded, and their hours."""

    stage: str
    made: int
    total: int
    timed: int
    hours: float


@dataclass(frozen=True)
class Sharing:
    """Training runs that the figures ask for one by one, those that are left when equal ones are shared, and hours saved."""

    asked: int
    shared: int
    hours: float | None


@dataclass(frozen=True)
class Provenance:
    """All of it.

    Args:
        plan: identity of the plan.
        places: environments, each with the stages that worked there.
        stages: where time went.
        sharing: what it saved, over all experiments of the plan.
        notes: what a reader should know: mixed environments, artifacts of other code, what was let go.
    """

    plan: str
    places: dict[str, list[str]]
    stages: tuple[Spent, ...]
    sharing: Sharing
    notes: tuple[str, ...]

    @property
    def hours(self) -> float:
        """Recorded hours of all stages."""
        return sum(each.hours for each in self.stages)


def _seconds(results: Path, node: Node) -> float | None:
    """Read how long a job took; None where no record tells."""
    path = results / node.benchmark
    with suppress(OSError, ValueError, KeyError, csv.Error), path.open(encoding="utf-8") as file:
        return float(next(csv.DictReader(file, delimiter="\t"), {"s": "nan"})["s"])
    return None


def spent(contents: Contents, nodes: Iterable[Node]) -> tuple[Spent, ...]:
    """Add up the time of jobs by stage.

    Args:
        contents: what the report is about.
        nodes: whose time is asked for.
    """
    by_stage: dict[str, list[Node]] = defaultdict(list)
    for node in nodes:
        by_stage[node.stage].append(node)
    found = []
    for stage in (stage for stage in STAGES if by_stage[stage]):
        own = by_stage[stage]
        times = [seconds for node in own if (seconds := _seconds(contents.plan.config.results, node)) is not None]
        times = [seconds for seconds in times if seconds >= 0]
        made = sum(estimate.is_made(contents.plan, node) for node in own)
        found.append(Spent(stage, made, len(own), len(times), sum(times) / 3600))
    return tuple(found)


def sharing(contents: Contents) -> Sharing:
    """Say how many runs sharing saves, and about how many hours: those of the steps saved, at the pace of those made."""
    plan = contents.plan
    trained = [node for node in plan.nodes.values() if node.stage in _TRAINING]
    asked, shared = plan.asked["steps"], sum(node.num_steps for node in trained)
    timed = {node.key: seconds for node in trained if (seconds := _seconds(plan.config.results, node)) is not None}
    steps = sum(node.num_steps for node in trained if node.key in timed)
    hours = sum(timed.values()) / 3600 * (asked - shared) / steps if steps else None
    return Sharing(plan.asked["runs"], sum(node.num_runs for node in trained), hours)


def _places(contents: Contents) -> dict[str, list[str]]:
    """Join what all that is there was made in; a damaged record tells nothing."""
    results, name = contents.plan.config.results, contents.experiment.name
    there = [contents.plan.tables[name][table] for table in contents.tables]
    there += [contents.plan.figures[name][figure] for figure in contents.figures]
    found = []
    for node in there:
        with suppress(OSError, ValueError):
            found.append(verification.made_in([results / node.folder]))
    return environment.united(found)


def read(contents: Contents) -> Provenance:
    """Collect where, how long and by what.

    Args:
        contents: what the report is about.
    """
    plan, name = contents.plan, contents.experiment.name
    own = {copy: source for copy, source in plan_file.published(plan).items() if copy.startswith(f"{name}/")}
    kept = {plan.kept[node.key] for node in contents.nodes if node.key in plan.kept}
    gone = sum(bool(verification.gone(plan.config.results / node.folder)) for node in contents.nodes)
    notes = [*ledger.mixtures(plan.config.results, own), *adopted.report(plan.config.results, kept)]
    notes += [f"{_GONE.format(gone)}; rewind remake KEY makes them again"] if gone else []
    return Provenance(plan.identity(), _places(contents), spent(contents, contents.nodes), sharing(contents), tuple(notes))
