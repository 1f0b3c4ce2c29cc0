"""Between Snakemake and the plan: what is asked for, what it reads, and whether it is still what was planned."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from pipeline_lib.core import files, processors, registry
from pipeline_lib.experiments import config, config_files
from pipeline_lib.experiments.experiment import Config
from pipeline_lib.planning import adopted, footprint, ledger, nodes, plan, plan_file, publication, refinement, stage_work
from pipeline_lib.planning.keys import fingerprint, known_code
from pipeline_lib.planning.nodes import Plan
from pipeline_lib.planning.plan_file import Written
from pipeline_lib.planning.written import index, times
from pipeline_lib.store import artifacts, environment, verification
from pipeline_lib.store.environment import Environment
from pipeline_lib.store.job import Job, at_work
from pipeline_lib.tables import tabulation

FAULTS = (ValueError, OSError, SyntaxError, ImportError)  # a user's mistakes, and the machine's troubles
PLAN_ID = "REWIND_PLAN_ID"  # set by the main process, inherited by its jobs


def _read(paths: Sequence[Path], overrides: Mapping[str, Any] | None) -> Config:
    """Read config files, and what counts as made by the code of today in their results folder."""
    asked = config_files.read(paths, overrides)
    return replace(asked, adopted=adopted.there(asked.results))


def load(paths: Sequence[Path], overrides: Mapping[str, Any] | None = None) -> Plan:
    """Read config files, lay overrides over them, and plan."""
    return plan.make_plan(_read(paths, overrides))


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() == content
    except OSError:  # none, or another user's alone
        return False


def put_first_in_path(folder: Path) -> None:
    """Let programs of a folder come before others of their names, in this process and what it starts."""
    os.environ["PATH"] = os.pathsep.join([str(folder), os.environ.get("PATH", "")])


def write_plan(made: Plan, paths: Iterable[Path]) -> Path:
    """Write the plan file that jobs read their node from, and its index; equal ones are left alone.

    Raises:
        ValueError: the results folder cannot be written to.
    """
    header, *lines = plan_file.to_lines(made, paths)
    text, target = "\n".join([header, *lines]) + "\n", made.config.results / "plans" / f"{made.identity()}.jsonl"
    if not _holds(target, text.encode()):  # compared as bytes: a damaged file need not be text
        asked = {(node.stage, nodes.named_functions(node.stage, node.spec)) for node in made.nodes.values()}
        known_code.keep(made.config.results, asked)
        artifacts.write_text(target, text)
    places = index.of(header, lines)
    if not _holds(index.beside(target), places.encode()):
        artifacts.write_text(index.beside(target), places)
    return target


def planned(paths: Sequence[Path], overrides: Mapping[str, Any], main: bool) -> Written:
    """Plan a run and check what is published; in its jobs, read what was planned, since planning may take half a minute.

    Args:
        paths: the config files.
        overrides: what was said on the command line.
        main: whether this is the process that the user started, and no job of it.

    Raises:
        ValueError: the config is wrong, a published file is damaged, or a job that does not see the plan file plans otherwise.
    """
    resolved, ours = _read(paths, overrides), None if main else os.environ.get(PLAN_ID)
    path = resolved.results / "plans" / f"{ours}.jsonl"
    if ours and path.is_file():
        return Written(path)
    made = plan.make_plan(resolved)
    if ours not in (None, made.identity()):
        raise ValueError("config and code must stay as they were planned during a run, got a changed plan; start the run again")
    written = Written(write_plan(made, paths))
    if main:
        publication.check(written)
        times.put_in_order(made)
        os.environ[PLAN_ID] = made.identity()
    return written


def _code(header: Mapping[str, Any], line: Mapping[str, Any]) -> tuple[str, bool]:
    """Give the digest of a node's code, and whether it computes on the device: as planned, where no source was edited since."""
    if header.get("sources") == fingerprint.CODE.sources:
        return line["code"], line["stage"] in header["on_device"]
    return nodes.stage_code(line["stage"], line["spec"]), nodes.on_device(line["stage"])


def _check_current(header: Mapping[str, Any], line: Mapping[str, Any]) -> tuple[str, bool]:
    """Refuse a job whose config is not what was planned, or its code: all that it may import, as frozen at its start.

    Returns:
        The digest of its code, and whether it computes on the device.
    """
    for name, planned in plan_file.inputs_of(header, line).items():
        path = config.ROOT / name
        if not config_files.is_as_noted(path, planned):
            raise ValueError(f"config must stay as it was planned during a run, got a changed {path.name}; start the run again")
    if line["key"] in header["adopted"]:
        raise ValueError(
            f"artifact {line['folder']} must be left as other code made it, got a job to make it by this code; "
            "remove its folder and start the run again, which then makes it under a key of its own"
        )
    code, on_device = _code(header, line)
    parents = {role: tuple(keys) for role, keys in line["parents"].items()}
    place = Environment(**header["environment"]).words(on_device) if header["environment"] else ""
    if nodes.node_key(line["stage"], line["spec"], code, parents, place) != line["key"]:
        raise ValueError(
            f"code of stage {line['stage']} must stay as it was planned during a run, got an edit; start the run again"
        )
    return code, on_device


def _environment(header: Mapping[str, Any], stage: str, computes: bool) -> Environment:
    """Tell what this job runs in, and refuse what is not what its key says."""
    here = environment.current(computes)
    planned = header["environment"]
    found = here.differences(Environment(**planned), computes) if planned else ""
    if found:
        remedy = (
            f"run it there, say by {environment.NAME} what jobs have and start the run again, or leave environment: strict out"
        )
        raise ValueError(f"environment of stage {stage} must be what its key says, got {found}; {remedy}")
    return here


def _check_parent(folder: Path) -> None:
    """Refuse to read an artifact whose job has not ended, or that is another node's by its record.

    Where there is no folder at all, what reads its files says so.
    """
    try:
        verification.record(folder)
    except FileNotFoundError:
        if folder.is_dir():
            rule = f"artifact {folder} must have its {verification.RECORD}"
            raise ValueError(f"{rule}, got none; remove the folder and run again") from None


def _job(stage: str, folder: Path, path: Path) -> tuple[Job[Any], dict[str, Any]]:
    """Read what a node is, and refuse it where config or code changed; give it with its line of the plan."""
    header, line = plan_file.find_line(path, folder.name.rpartition("-")[2])
    if line["stage"] != stage:
        raise ValueError(f"node {folder.name} must be made by stage {line['stage']}, got {stage}; use that one")
    try:
        registry.plug([Path(file) for file in header["plugins"]])
        code, on_device = _check_current(header, line)
        here = _environment(header, stage, on_device)
        brought = {digest: Path(path) for digest, path in header.get("brought", {}).items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise plan_file.not_whole(path, error) from None
    if folder.parts[-3:] != Path(line["folder"]).parts:
        raise ValueError(f"folder must end with {line['folder']}, got {folder}; use that one")
    results = Path(*folder.parts[:-3])
    reads = {role: [results / name for name in names] for role, names in line["reads"].items()}
    root = Path(header["data_root"]) if header["data_root"] else None
    parents = [folder for folders in reads.values() for folder in folders]
    for parent in parents:
        _check_parent(parent)
    processors.one_for_arithmetic()
    facts = environment.facts(here, stage, line["spec"], code, verification.made_in(parents))
    return Job(line["key"], line["spec"], folder, reads, root, facts, plan_file.members(path), brought), line


def _finish(work: ModuleType, job: Job[Any], line: Mapping[str, Any]) -> None:
    """Look at what a job wrote, and record it."""
    if hasattr(work, "check"):  # looks at what was written, and changes none of it: no part of keys
        work.check(job)
    files.remove_leftovers(job.folder)
    record = {key: line[key] for key in ("key", "stage", "label", "spec", "parents")}
    record |= {**job.facts, "format": fingerprint.FORMAT, "sha256": verification.digests(job.folder)}
    artifacts.write_text(job.folder / verification.RECORD, json.dumps(record, indent=1) + "\n")


def run_node(stage: str, folder: Path, path: Path) -> None:
    """Make one node.

    Args:
        stage: which stage the node belongs to.
        folder: where the node goes: `<results>/artifacts/<stage>/<label>-<key>`.
        path: the plan file that it is part of.

    Raises:
        ValueError: it is not part of the plan, config or code changed, or the stage refuses its inputs.
    """
    job, line = _job(stage, folder, path)
    work = stage_work.load(stage)
    stage_work.run(work, job)
    _finish(work, job, line)


def run_together(stage: str, folders: Sequence[Path], path: Path, ended: Callable[[Path, Exception | None], None]) -> None:
    """Make several nodes of a stage whose jobs can work side by side; each artifact is as if it were made alone.

    Those of one task and data set do so; one that fails takes no other with it.

    Args:
        stage: which stage, with a `run_together`.
        folders: where the nodes go.
        path: the plan file that they are part of.
        ended: called with each node's folder as soon as it has ended, and why it failed; None if it did not.
    """
    groups: dict[str, list[tuple[Job[Any], dict[str, Any]]]] = {}
    for folder in folders:
        try:
            with at_work(folder):
                job, line = _job(stage, folder, path)
        except FAULTS as error:
            ended(folder, error)
        else:
            alike = json.dumps([job.spec["task"], [str(at) for at in job.reads["data"]]], sort_keys=True)
            groups.setdefault(alike, []).append((job, line))
    work = stage_work.load(stage)
    for group in groups.values():

        def finish(i: int, why: Exception | None, group: list[tuple[Job[Any], dict[str, Any]]] = group) -> None:
            job, line = group[i]
            try:
                if why is None:
                    _finish(work, job, line)
            except FAULTS as fault:
                why = fault
            ended(job.folder, why)

        work.run_together([job for job, _ in group], finish)


def refined(made: Plan, raw: Mapping[str, Any], level: int, until: float) -> dict[str, Any]:
    """Write the config of a further round: of the experiments that need one, with longer grids of rewind steps.

    Args:
        made: the plan of the last round.
        raw: its config.
        level: whose onset is sought; 0 is the dense network's.
        until: relative width of the onset at which to stop.

    Raises:
        ValueError: an experiment has no table of means yet, or no task needs another round.
    """
    found: dict[str, Any] = {}
    for name, e in made.config.experiments.items():
        path = made.config.results / name / "means.parquet"
        if not path.is_file():
            raise ValueError(f"table {path} must exist, got no such file; run the experiment first")
        grids = {task: grid.rewind for task, grid in e.grids.items()}
        longer = refinement.refined(tabulation.read(path), grids, level, until)
        if longer:
            over = {"tasks": {task: {"rewind": longer[task]} if task in longer else {} for task in grids}}
            found[name] = config.merge(raw["experiments"][name], over)
    if not found:
        raise ValueError(f"an onset must lie between two steps further apart than {until:g} of it, got none; nothing to refine")
    return {**raw, "experiments": found}


def let_go(written: Written) -> list[str]:
    """Remove states and masks that all is measured of, if the config says so.

    What other plans of the folder keep stays, and what they have to read for what they have not made yet.

    Returns:
        A line that says what went, or none.
    """
    if written.keep == "all":
        return []
    others = [path for path in (written.results / "plans").glob("*.jsonl") if path != written.path and plan_file.is_current(path)]
    kept = set[str]()
    for other in map(Written, others):
        kept |= set(plan_file.folders(other.path)) if other.keep == "all" else other.waited_for()
    number, size = footprint.let_go(written.nodes, written.results, kept)
    return [f"keep: measured: {number} files of states and masks are removed, {size / 1e6:.1f} MB"] if number else []


def write_index(results: Path) -> None:
    """Write `index.parquet`: one row an artifact, with what it is and how it was made.

    What has no record that it can be known by is left out, with a line in the log.
    """
    import pyarrow as pa

    rows = ledger.rows(results)
    if rows:
        artifacts.write_table(results / "index.parquet", pa.Table.from_pylist(rows))
