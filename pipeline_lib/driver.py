"""Between Snakemake and the plan: what is asked for, what it reads, and whether it is still what was planned."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline_lib import artifacts, config, nodes, plan, plan_file, refine, tables, validation, verify
from pipeline_lib.job import Job
from pipeline_lib.nodes import Plan
from pipeline_lib.plan_file import Written

PLAN_ID = "REWIND_PLAN_ID"  # set by the main process, inherited by its jobs


def content_hash(path: Path) -> str:
    """Hash what a YAML file says; comments and layout do not count.

    Raises:
        ValueError: it says what is no JSON, such as a date.
    """
    try:
        text = json.dumps(validation.read_yaml(path), sort_keys=True)
    except (TypeError, RecursionError) as error:
        raise ValueError(f"config file {path} must say what JSON can, got: {error}; put quotation marks around it") from None
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def load(paths: Iterable[Path], overrides: Mapping[str, Any] | None = None) -> Plan:
    """Read config files, lay overrides over them, and plan."""
    raw: dict[str, Any] = {}
    for path in paths:
        raw = config.merge(raw, validation.read_yaml(path))
    return plan.make_plan(config.resolve(config.merge(raw, config.typed(overrides or {}))))


def write_plan(made: Plan, paths: Iterable[Path]) -> Path:
    """Write the plan file that jobs read their node from; an equal one is left alone.

    Raises:
        ValueError: the results folder cannot be written to.
    """
    inputs = {str(p.resolve()): content_hash(p) for p in [*paths, *config.task_files().values()]}
    lines = "\n".join(plan_file.to_lines(made, inputs)) + "\n"  # compared as bytes: a damaged file need not be text
    target = made.config.results / "plans" / f"{made.identity()}.jsonl"
    if not target.is_file() or target.read_bytes() != lines.encode():
        artifacts.write_text(target, lines)
    return target


def planned(raw: Mapping[str, Any], paths: Iterable[Path], main: bool) -> Written:
    """Plan a run and check what is published; in its jobs, read what was planned, since planning may take half a minute.

    Args:
        raw: the config, overrides included.
        paths: the config files.
        main: whether this is the process that the user started, and no job of it.

    Raises:
        ValueError: the config is wrong, a published file is damaged, or a job that does not see the plan file plans otherwise.
    """
    resolved, ours = config.resolve(config.typed(raw)), None if main else os.environ.get(PLAN_ID)
    path = resolved.results / "plans" / f"{ours}.jsonl"
    if ours and path.is_file():
        return Written(path)
    made = plan.make_plan(resolved)
    if ours not in (None, made.identity()):
        raise ValueError("config and code must stay as they were planned during a run, got a changed plan; start the run again")
    written = Written(write_plan(made, paths))
    if main:
        check_published(written)
        os.environ[PLAN_ID] = made.identity()
    return written


def _check_current(header: Mapping[str, Any], line: Mapping[str, Any]) -> None:
    """Refuse a job whose config or code is not what was planned."""
    for name, planned in header["inputs"].items():
        path = Path(name)
        if not path.is_file() or content_hash(path) != planned:
            raise ValueError(f"config must stay as it was planned during a run, got a changed {path.name}; start the run again")
    code = nodes.stage_code(line["stage"], line["spec"], header["fingerprints"])
    parents = {role: tuple(keys) for role, keys in line["parents"].items()}
    if nodes.node_key(line["stage"], line["spec"], code, parents) != line["key"]:
        raise ValueError(
            f"code of stage {line['stage']} must stay as it was planned during a run, got an edit; start the run again"
        )


def run_node(stage: str, folder: Path, path: Path) -> None:
    """Make one node.

    Args:
        stage: which stage the node belongs to.
        folder: where the node goes: `<results>/artifacts/<stage>/<label>-<key>`.
        path: the plan file that it is part of.

    Raises:
        ValueError: it is not part of the plan, config or code changed, or the stage refuses its inputs.
    """
    header, line = plan_file.find_line(path, folder.name.rpartition("-")[2])
    if line["stage"] != stage:
        raise ValueError(f"node {folder.name} must be made by stage {line['stage']}, got {stage}; use that one")
    try:
        _check_current(header, line)
    except (KeyError, TypeError, AttributeError) as error:
        raise plan_file.not_whole(path, error) from None
    if folder.parts[-3:] != Path(line["folder"]).parts:
        raise ValueError(f"folder must end with {line['folder']}, got {folder}; use that one")
    results = Path(*folder.parts[:-3])
    reads = {role: [results / name for name in names] for role, names in line["reads"].items()}
    root = Path(header["data_root"]) if header["data_root"] else None
    for parent in (folder for folders in reads.values() for folder in folders):
        if parent.is_dir() and not (parent / verify.RECORD).is_file():
            raise ValueError(f"artifact {parent} must have its {verify.RECORD}, got none; remove the folder and run again")
    job = Job(line["key"], line["spec"], folder, reads, root)
    importlib.import_module(f"pipeline_lib.stages.{stage}").run(job)
    artifacts.remove_leftovers(job.folder)
    record = {key: line[key] for key in ("key", "stage", "label", "spec", "parents")}
    record |= {"versions": job.meta()["versions"], "sha256": verify.digests(job.folder)}
    artifacts.write_text(job.folder / verify.RECORD, json.dumps(record, indent=1) + "\n")


def _is_copy(copy: Path, stage: Path) -> bool:
    """Whether a published file is what some job of a stage wrote, by the records in the stage's folder."""
    found = hashlib.sha256(copy.read_bytes()).hexdigest()
    return any(found in path.read_text(encoding="utf-8", errors="replace") for path in stage.glob(f"*/{verify.RECORD}"))


def check_published(written: Written) -> None:
    """Refuse to go on with tables and figures that were damaged after they were made; Snakemake only asks whether they exist.

    Raises:
        ValueError: one is not what its job wrote, or a published file is a copy of none.
    """
    for name, made in written.published.items():
        copy, source = written.results / name, written.results / made
        if not source.is_file():
            continue
        verify.check(source)
        differs = copy.is_file() and copy.read_bytes() != source.read_bytes()
        if differs and not _is_copy(copy, source.parents[1]):
            raise ValueError(f"published file {copy} must be a copy of {source}, got another content; remove it and run again")


def remove_outdated(written: Written, fresh: Collection[str] = ()) -> list[str]:
    """Remove published files that are not copies of what this plan makes, so that none passes for fresh if the run fails.

    Args:
        written: the plan.
        fresh: paths of those that are up to date although the artifact that they are a copy of may be gone.
    """
    removed = []
    for name, made in written.published.items():
        copy, source = written.results / name, written.results / made
        if str(copy) in fresh:
            continue
        if copy.is_file() and not (source.is_file() and source.read_bytes() == copy.read_bytes()):
            copy.unlink()
            removed.append(name)
    return removed


def refined(made: Plan, level: int, until: float) -> dict[str, Any]:
    """Describe a further round of rewind steps for each experiment, to be laid over its config.

    Raises:
        ValueError: an experiment has no table of means yet, or no task needs another round.
    """
    found: dict[str, Any] = {}
    for name, e in made.config.experiments.items():
        path = made.config.results / name / "means.parquet"
        if not path.is_file():
            raise ValueError(f"table {path} must exist, got no such file; run the experiment first")
        grids = {task: grid.rewind for task, grid in e.grids.items()}
        longer = refine.refined(tables.read(path), grids, level, until)
        if longer:
            found[name] = {"tasks": {task: {"rewind": longer[task]} if task in longer else {} for task in grids}}
    if not found:
        raise ValueError(f"an onset must lie between two steps further apart than {until:g} of it, got none; nothing to refine")
    return found


def write_index(results: Path) -> None:
    """Write `index.parquet`: one row an artifact with its key, label, stage, spec, parents and versions."""
    import pyarrow as pa

    rows = []
    for path in sorted((results / "artifacts").glob(f"*/*/{verify.RECORD}")):
        record = json.loads(path.read_text(encoding="utf-8"))
        rows.append({k: v if isinstance(v, str) else json.dumps(v, sort_keys=True) for k, v in record.items()})
    if rows:
        artifacts.write_table(results / "index.parquet", pa.Table.from_pylist(rows))
