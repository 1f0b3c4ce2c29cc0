"""Where a run stands: what of its plan is made, what is worked on now, and how long the rest takes."""

from __future__ import annotations

import math
import sys
import time
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pipeline_lib.planning import estimate, plan_file
from pipeline_lib.planning.declared import STAGES
from pipeline_lib.store import lease, progress, verification
from pipeline_lib.store.progress import Going

_RATES_HOLD = 60.0  # seconds after which records of finished jobs are read again


@dataclass(frozen=True)
class Standing:
    """How far a plan is.

    Args:
        plan: its identity.
        stages: of each stage in the plan, how many artifacts are made, and how many there are.
        going: jobs at work.
        hours_left: what the rest takes on one core; NaN where nothing tells.
        holder: who runs it, or another plan of the folder, in words; empty for nobody.
    """

    plan: str
    stages: dict[str, tuple[int, int]]
    going: tuple[Going, ...]
    hours_left: float
    holder: str

    @property
    def done(self) -> int:
        """Artifacts that are made."""
        return sum(done for done, _ in self.stages.values())

    @property
    def total(self) -> int:
        """Artifacts of the plan."""
        return sum(total for _, total in self.stages.values())


@dataclass(frozen=True)
class _Item:
    """An artifact that is still to be made, the kind of work that it is, and how much of it."""

    stage: str
    record: Path
    kind: str
    work: float


def last_plan(results: Path) -> Path:
    """Find the plan of the run that began last.

    Raises:
        ValueError: there is none.
    """
    plans = [(path.stat().st_mtime_ns, path) for path in (results / "plans").glob("*.jsonl")]
    if not plans:
        raise ValueError(
            f"results folder must have the plan of a run, got none in {results / 'plans'}; name the one of the config"
        )
    return max(plans)[1]


class Watch:
    """Looks at a plan again and again; what was seen finished is not looked at any more.

    Args:
        path: the plan file, `<results>/plans/<identity>.jsonl`.

    Raises:
        ValueError: the file is gone or damaged.
    """

    def __init__(self, path: Path) -> None:
        self.results, self._plan = path.parent.parent, path.stem
        self._rates: dict[str, float] = {}
        self._read = -math.inf
        self._left: dict[str, _Item] = {}
        for node in plan_file.nodes(path):
            kind = sys.intern(estimate.kind_of(node["stage"], node["spec"]))
            record, work = self.results / node["folder"] / verification.RECORD, estimate.work_of(node["stage"], node["spec"])
            self._left[node["key"]] = _Item(node["stage"], record, kind, work)
        self._totals = Counter(item.stage for item in self._left.values())

    @cached_property
    def _stages(self) -> list[str]:
        return [stage for stage in STAGES if self._totals[stage]]

    def _hours_left(self, going: tuple[Going, ...]) -> float:
        """Add up what the rest takes: by records of finished jobs, else by how fast jobs train now."""
        if time.monotonic() - self._read > _RATES_HOLD:
            self._rates, self._read = estimate.rates_of(self.results), time.monotonic()
        rates = dict(self._rates)
        for each in going:
            item = self._left.get(each.name.rpartition("-")[2])
            if item and each.speed and STAGES[item.stage].rate == "training":
                rates.setdefault(item.kind, 1 / each.speed)
        return sum(rates.get(item.kind, math.nan) * item.work for item in self._left.values()) / 3600

    def look(self) -> Standing:
        """See how far it is now."""
        for key in [key for key, item in self._left.items() if item.record.is_file()]:
            del self._left[key]
        left, going = Counter(item.stage for item in self._left.values()), tuple(progress.going(self.results))
        held = lease.holder(self.results)
        who = f"process {held.process} on {held.host} since {held.since}" if held else ""
        stages = {stage: (self._totals[stage] - left[stage], self._totals[stage]) for stage in self._stages}
        return Standing(self._plan, stages, going, self._hours_left(going), who)


def duration(seconds: float) -> str:
    """Word a time: seconds, minutes or hours."""
    if math.isnan(seconds):
        return "unknown"
    if seconds < 99:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5940 else f"{seconds / 3600:.1f} h"


def parts(each: Going) -> dict[str, str]:
    """Word what a job does and how far it is, by what the words tell; what is not known is left out."""
    found = {"job": f"{each.stage} {each.name.rpartition('-')[0]}", "who": each.who}
    found["step"] = f"step {each.done:,}/{each.total:,}" if each.total else ""
    found["loss"] = "" if each.loss is None else f"loss {each.loss:.4f}"
    found["accuracy"] = "" if each.error is None else f"test accuracy {1 - each.error:.1%}"
    found["left"] = "" if each.left is None else f"{duration(each.left)} left"
    return {name: text for name, text in found.items() if text}


def doing(each: Going) -> str:
    """Word what a job does and how far it is."""
    return ", ".join(parts(each).values())


def left(now: Standing, cores: int | None) -> str:
    """Word how long the rest takes."""
    if math.isnan(now.hours_left):
        return "time left is unknown until a job of each kind has ended"
    seconds = now.hours_left * 3600
    return f"about {duration(seconds / cores)} left on {cores} cores" if cores else f"about {now.hours_left:.2f} core-hours left"


def lines(now: Standing, cores: int | None = None) -> list[str]:
    """Write where a run stands, as `rewind status` says it.

    Args:
        now: what was seen.
        cores: how many it has, if that is known.
    """
    made = f"plan {now.plan}: {now.done:,} of {now.total:,} artifacts are made"
    rest = f", {left(now, cores)}" if now.done < now.total else ""
    counts = ", ".join(f"{stage} {done:,}/{total:,}" for stage, (done, total) in now.stages.items())
    who = f"a run works on it: {now.holder}" if now.holder else "no run works in this folder"
    return [made + rest, counts, who, *(f"now: {doing(each)}" for each in now.going)]
