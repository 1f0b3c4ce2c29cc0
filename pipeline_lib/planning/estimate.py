"""What a plan costs: jobs, runs, steps and disk, and hours by the records of earlier jobs on this machine."""

from __future__ import annotations

import csv
import json
import math
import os
import shutil
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import reduce
from itertools import accumulate
from pathlib import Path
from typing import Any

from pipeline_lib.experiments import brought, starts
from pipeline_lib.planning import adopted, footprint
from pipeline_lib.planning.declared import STAGES
from pipeline_lib.planning.nodes import Node, Plan
from pipeline_lib.store import environment, verification
from pipeline_lib.store.verification import RECORD

# What a record that is missing, empty, damaged or of an older version can raise.
_DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, csv.Error)
_KEPT_RECORDS = 200  # newest jobs looked at, a stage

Calibrate = Callable[[dict[str, Any], Path | None], tuple[float, float]]


def trained_steps(spec: Mapping[str, Any]) -> int:
    """Count the steps of a job's runs."""
    begun = spec["k"]
    if "start" in spec:  # older records have none
        begun = starts.parse(spec["start"], spec["task"], own=brought.worded(spec["start"], begun)).step()
    return (spec["task"]["steps"] - begun) * len(spec["members"])


def spectra(spec: Mapping[str, Any]) -> float:
    """Count the points that spectra cost, where they go on until nothing is gained.

    A Hessian's has no bound and takes all its iterations. The Gauss-Newton matrix's bracket closes after some
    `1 / (8 sqrt(resolution))` of them, the root of the condition number; it comes again with fewer examples.
    """
    each = 1.2e-3 * spec["examples"] * spec["probes"] * len(spec["seeds"])
    most, tolerance = spec["iterations"], spec.get("tolerance")  # older records have none
    if tolerance is None:
        return each * most * len(spec["operators"])
    closed = min(most, 1 / (8 * math.sqrt(spec["resolution"])))
    return each * sum(most if operator == "hessian" else 2 * closed for operator in spec["operators"])


def cuts(spec: Mapping[str, Any]) -> float:
    """Count the points that cuts cost: each is evaluated on both splits."""
    repeated = len(spec.get("repeated", [])) * (spec.get("draws", 1) - 1)  # older records have none
    return 6.0 * (sum(map(len, spec["fractions"].values())) + repeated) * len(spec["seeds"])


_SIZES: dict[str, Callable[[Mapping[str, Any]], float]] = {"trained_steps": trained_steps, "spectra": spectra, "cuts": cuts}


def _factor(spec: Mapping[str, Any], named: str | int | float) -> int | float:
    """Read one factor of a job's size."""
    if not isinstance(named, str):
        return named
    value: Any = reduce(lambda found, key: found[key], named.split("."), spec)
    if isinstance(value, Mapping):
        return sum(map(len, value.values()))
    return len(value) if isinstance(value, Sequence) else value


def product(spec: Mapping[str, Any], size: Sequence[str | int | float]) -> int | float:
    """Multiply the factors of a job's size."""
    return math.prod(_factor(spec, named) for named in size)


def work_of(stage: str, spec: Mapping[str, Any]) -> float:
    """Measure a job's size, as its stage declares it: in training steps or evaluated points; one for a job of start-up alone."""
    size = STAGES[stage].size
    return float(_SIZES[size](spec) if isinstance(size, str) else product(spec, size))


def kind_of(stage: str, spec: Mapping[str, Any]) -> str:
    """Name what jobs of one speed have in common: training is training, whichever stage asks, and start-up a stage's own."""
    task = spec.get("task")
    if task is None or STAGES[stage].rate is None:
        return stage
    parts = [task[key] for key in ("network", "dataset", "batch_size", "pad", "precision", "channels_last") if key in task]
    return json.dumps([STAGES[stage].rate, parts], sort_keys=True)


def _rate(record: Path, described: Path) -> tuple[str, str, float, float]:
    """Read of a finished job what kind of work it did, on what processor, how many seconds a unit took, and how much it was."""
    made = json.loads(described.read_text(encoding="utf-8"))
    spec = made["spec"]
    with record.open(encoding="utf-8") as file:
        row = next(csv.DictReader(file, delimiter="\t"), {})
    stage, seconds = described.parent.parent.name, float(row["s"])
    if not 0 <= seconds < math.inf:
        raise ValueError(f"seconds must be finite, got {seconds}; the record says nothing")
    work = max(work_of(stage, spec), 1.0)
    return kind_of(stage, spec), str(made.get("processor", "")), seconds / work, work


def _typical(jobs: list[tuple[float, float]]) -> float:
    """Give the rate below which half of the work was done, so that many small jobs, which mostly start, do not count as many."""
    in_order = sorted(jobs)
    done = list(accumulate(work for _, work in in_order))
    return in_order[bisect_left(done, done[-1] / 2)][0]


def rates_of(results: Path) -> dict[str, float]:
    """Give seconds a unit of work by its kind: from benchmark records of finished jobs, and what stages declare that only start.

    Jobs of another processor count where there are none of this one. What is damaged tells nothing.
    """
    return _rates(results)[0]


def _rates(results: Path) -> tuple[dict[str, float], set[str]]:
    """Give what `rates_of` does, and of which kinds only jobs of another processor tell."""
    here = environment.planned().processor
    found: dict[str, dict[bool, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    for stage in STAGES:
        records = sorted((results / "benchmarks" / stage).glob("*.tsv"), key=lambda path: path.stat().st_mtime)
        for record in records[-_KEPT_RECORDS:]:
            with suppress(*_DAMAGE):
                kind, processor, rate, work = _rate(record, results / "artifacts" / stage / record.stem / RECORD)
                found[kind][processor in ("", here)].append((rate, work))
    rates = {kind: _typical(jobs.get(True) or jobs[False]) for kind, jobs in found.items()}
    return _startup() | rates, {kind for kind, jobs in found.items() if True not in jobs}


def _calibrated(
    plan: Plan, missing: list[Node], rates: dict[str, float], calibrate: Calibrate | None
) -> tuple[set[str], set[str]]:
    """Measure what no record tells, where that is asked for; name the tasks that were measured, and those that are unknown."""
    measured: dict[str, tuple[float, float]] = {}
    unknown: set[str] = set()
    for node in missing:
        task, kind = node.spec.get("task"), kind_of(node.stage, node.spec)
        if task and kind not in rates and calibrate is None:
            unknown.add(task["name"])
        elif task and kind not in rates and calibrate:
            full = next(e.grids[task["name"]].task for e in plan.config.experiments.values() if task["name"] in e.grids)
            if task["name"] not in measured:
                measured[task["name"]] = calibrate(full, plan.config.data_root)
            rates[kind] = measured[task["name"]][int(STAGES[node.stage].rate == "evaluation")]
    return set(measured), unknown


def _startup() -> dict[str, float]:
    return {stage.name: stage.seconds for stage in STAGES.values() if stage.rate is None}


def is_made(plan: Plan, node: Node) -> bool:
    """Tell whether all of a node's files exist, or are gone on purpose."""
    return verification.is_whole(plan.config.results / node.folder, STAGES[node.stage].files)


def _missing(plan: Plan) -> list[Node]:
    """List what a run would have to make."""
    wanted = [node.key for made in (*plan.tables.values(), *plan.figures.values()) for node in made.values()]
    keys = footprint.missing(plan.nodes, wanted, plan.config.results, plan.config.keep)
    return [node for key, node in plan.nodes.items() if key in keys]


def report(plan: Plan, calibrate: Calibrate | None = None, sized: footprint.Sizes = footprint.size) -> str:
    """Write what a plan asks for, what exists, what sharing saves, and what the rest takes in time and on disk.

    Args:
        plan: the plan.
        calibrate: measures a task where no earlier job tells: seconds a training step and an interpolation point. Without it, its
            hours are unknown.
        sized: counts the entries of a task's network.
    """
    missing = _missing(plan)
    made = plan.nodes.keys() - {node.key for node in missing}
    rates, elsewhere = _rates(plan.config.results)
    measured, unknown = _calibrated(plan, missing, rates, calibrate)
    seconds = _seconds(missing, rates)
    lines = _by_stage(plan.nodes.values(), made, seconds)
    lines += adopted.report(plan.config.results, plan.kept.values())
    foreign = not elsewhere.isdisjoint(kind_of(node.stage, node.spec) for node in missing)
    left = _time(sum(seconds.values()), measured, unknown, foreign)
    return "\n".join([*lines, *_shared(plan), _disk(plan, missing, sized), left])


def summary(plan: Plan, calibrate: Calibrate | None = None, sized: footprint.Sizes = footprint.size) -> dict[str, Any]:
    """Give what `report` writes as numbers: nodes and hours left by stage, runs and steps, and bytes; unknown hours are NaN."""
    missing = _missing(plan)
    made, rates = plan.nodes.keys() - {node.key for node in missing}, rates_of(plan.config.results)
    _calibrated(plan, missing, rates, calibrate)
    seconds = _seconds(missing, rates)
    stages = {
        stage: {"nodes": len(keys), "exist": len(made.intersection(keys)), "hours_left": seconds[stage] / 3600}
        for stage in STAGES
        if (keys := [node.key for node in plan.nodes.values() if node.stage == stage])
    }
    (whole, files), (left, _) = footprint.of(plan, plan.nodes.values(), sized), footprint.of(plan, missing, sized)
    trained = [node for node in plan.nodes.values() if node.stage in ("train", "trace")]
    return {
        "plan": plan.identity(),
        "stages": stages,
        "core_hours_left": sum(seconds.values()) / 3600,
        "runs": {"asked": plan.asked["runs"], "shared": sum(node.num_runs for node in trained)},
        "steps": {"asked": plan.asked["steps"], "shared": sum(node.num_steps for node in trained)},
        "disk": {"bytes": whole, "files": files, "bytes_left": left},
    }


def _seconds(missing: Iterable[Node], rates: Mapping[str, float]) -> dict[str, float]:
    """Add up what missing nodes take, by stage; NaN where nothing tells."""
    seconds: dict[str, float] = dict.fromkeys(STAGES, 0.0)
    for node in missing:
        seconds[node.stage] += rates.get(kind_of(node.stage, node.spec), float("nan")) * work_of(node.stage, node.spec)
    return seconds


def _by_stage(nodes: Iterable[Node], made: Collection[str], seconds: Mapping[str, float]) -> list[str]:
    lines = [f"{'stage':12} {'nodes':>7} {'exist':>7} {'hours left':>11}"]
    keys: dict[str, list[str]] = defaultdict(list)
    for node in nodes:
        keys[node.stage].append(node.key)
    for stage in (stage for stage in STAGES if keys[stage]):
        hours = "unknown" if math.isnan(seconds[stage]) else f"{seconds[stage] / 3600:.2f}"
        lines.append(f"{stage:12} {len(keys[stage]):7} {len(set(keys[stage]).intersection(made)):7} {hours:>11}")
    return lines


def stages(plan: Plan, nodes: Collection[Node]) -> list[str]:
    """Write how many of some nodes there are, how many exist, and how long the others take, a line a stage."""
    made = {node.key for node in nodes if is_made(plan, node)}
    rates = rates_of(plan.config.results)
    return _by_stage(nodes, made, _seconds([node for node in nodes if node.key not in made], rates))


def _shared(plan: Plan) -> list[str]:
    trained = [node for node in plan.nodes.values() if node.stage in ("train", "trace")]
    runs, steps, asked = sum(node.num_runs for node in trained), sum(node.num_steps for node in trained), plan.asked
    return [
        f"training runs: {asked['runs']} asked for figure by figure, {runs} after sharing, {asked['runs'] - runs} saved",
        f"training steps: {asked['steps']} asked for, {steps} after sharing, {asked['steps'] - steps} saved",
    ]


_PASSING = {"all": "which keep: measured removes at a run's end", "measured": "which go at a run's end"}


def _disk(plan: Plan, missing: list[Node], sized: footprint.Sizes) -> str:
    """Say what a plan takes on disk, and whether what is missing fits there."""
    (whole, files), (left, _) = footprint.of(plan, plan.nodes.values(), sized), footprint.of(plan, missing, sized)
    place = next(path for path in (plan.config.results.resolve(), *plan.config.results.resolve().parents) if path.is_dir())
    free = shutil.disk_usage(place).free
    fits = "" if left <= free else "; MORE THAN IS FREE THERE"
    return (
        f"disk: about {whole / 1e9:.1f} GB in {files:,} files without data sets, "
        f"{left / 1e9:.1f} GB of it to be made, {footprint.passing(plan, sized) / 1e9:.1f} GB of it states and masks, "
        f"{_PASSING[plan.config.keep]}, {free / 1e9:.1f} GB free{fits}"
    )


def _time(seconds: float, measured: set[str], unknown: set[str], foreign: bool) -> str:
    if unknown:
        return f"time left: unknown, since no earlier job tells how fast {', '.join(sorted(unknown))} is; --calibrate measures it"
    cores = os.cpu_count() or 1
    source = f"a short calibration of {', '.join(sorted(measured))}" if measured else "records of earlier jobs"
    source += ", some of them another processor's" if foreign else ""
    return f"time left: {seconds / 3600:.2f} core-hours, {seconds / 3600 / cores:.2f} h on {cores} cores, by {source}"
