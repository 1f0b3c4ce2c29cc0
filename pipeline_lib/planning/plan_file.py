"""The plan on disk: what rules ask, and what jobs read their node from."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import fields
from functools import cache, cached_property, partial
from itertools import starmap
from pathlib import Path
from typing import Any

from pipeline_lib.core import registry
from pipeline_lib.core.files import refusal
from pipeline_lib.experiments import config, config_files
from pipeline_lib.experiments.figure_needs import FIGURES
from pipeline_lib.planning import footprint
from pipeline_lib.planning.declared import STAGES
from pipeline_lib.planning.keys import fingerprint
from pipeline_lib.planning.nodes import Node, Plan, on_device
from pipeline_lib.planning.written.index import Lines
from pipeline_lib.store import verification

# Where artifacts lie under the results folder: no name leaves it, or means something to a shell.
_FOLDER = re.compile(r"artifacts/[a-z_]+/[A-Za-z0-9_-]+-[0-9a-f]{12}")
# What reading a damaged file can raise.
_DAMAGE = (OSError, KeyError, TypeError, ValueError, AttributeError, RecursionError)


def not_whole(path: Path, error: Exception) -> ValueError:
    """Say that a plan file is damaged, or cannot be read."""
    if isinstance(error, OSError):
        return refusal(path, error, "plan", "start the run again")
    return ValueError(f"plan {path} must be whole, got: {error}; remove it and start the run again")


AS_TABLE = (".csv", ".html", ".tex")  # how figures are published that are tables


def published(plan: Plan) -> dict[str, str]:
    """Map each file that a user reads to the artifact's file that it is a copy of, both under the results folder."""
    files: dict[str, str] = {}
    for experiment, measured in plan.tables.items():
        files |= {f"{experiment}/{name}.parquet": f"{node.folder}/table.parquet" for name, node in measured.items()}
    for experiment, figures in plan.figures.items():
        for name, node in figures.items():
            shown = [each for each in STAGES["plot"].files if FIGURES[name].as_table or Path(each).suffix not in AS_TABLE]
            files |= {f"{experiment}/figures/{name}{Path(each).suffix}": f"{node.folder}/{each}" for each in shown}
    return files


def to_lines(plan: Plan, paths: Iterable[Path]) -> Iterable[str]:
    """Write a plan as JSON lines: a header, then one node a line, found by its key without parsing the others.

    The header has a hash of what each config file says, and each task's, for telling later whether one has changed.

    Args:
        plan: the plan.
        paths: the config files.
    """
    root = str(plan.config.data_root) if plan.config.data_root else None
    described = {task: _hashes(files) for task, files in config_files.task_files(plan.config).items()}
    header = {"format": fingerprint.FORMAT, "inputs": _hashes(paths), "tasks": described, "data_root": root}
    header |= {"environment": vars(plan.place) if plan.place else None, "adopted": plan.kept, "plugins": plan.config.plugins}
    header |= {"brought": plan.config.brought, "keep": plan.config.keep, "sources": fingerprint.CODE.sources}
    header["on_device"] = sorted(filter(on_device, {node.stage for node in plan.nodes.values()}))
    data, names = (n for n in plan.nodes.values() if n.stage == "prepare"), registry.declared("datasets", "IN_FILES")
    header["in_files"] = [node.key for node in data if node.spec["dataset"]["name"] in names]
    yield json.dumps(header | {"published": published(plan)})
    for node in plan.nodes.values():
        reads = {role: [n.folder for n in nodes] for role, nodes in plan.parents(node).items()}
        yield json.dumps({"key": node.key} | vars(node) | {"folder": node.folder, "reads": reads})


def _hashes(paths: Iterable[Path]) -> dict[str, str]:
    return {_named(path): config_files.noted(path) for path in paths}


def _named(path: Path) -> str:
    """Name a file of this checkout as seen from its root: another machine has its checkout elsewhere."""
    whole, root = path.resolve(), config.ROOT.resolve()
    return str(whole.relative_to(root) if whole.is_relative_to(root) else whole)


def inputs_of(header: Mapping[str, Any], line: Mapping[str, Any]) -> dict[str, str]:
    """Give the hashes of the files that a node is described in: config files, and its task's, or all tasks' if it has none.

    Files of the checkout are named as seen from its root.

    Args:
        header: of the plan file.
        line: the node.
    """
    task = line["spec"].get("task") or {}
    tasks: dict[str, dict[str, str]] = header["tasks"]
    own = tasks.get(task.get("name", line["spec"].get("name")))
    found: dict[str, str] = dict(header["inputs"])
    for files in tasks.values() if own is None else [own]:
        found |= files
    return found


def _checked_folder(folder: str) -> str:
    if not _FOLDER.fullmatch(folder):
        raise ValueError(f"folder {folder!r}")
    return folder


def _checked(header: Any, line: Any, key: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Check what jobs rely on: kinds of facts, and that all folders lie where artifacts do."""
    facts: dict[str, Any] = {"inputs": dict, "tasks": dict, "adopted": dict, "data_root": (str, type(None))}
    facts |= {"environment": (dict, type(None)), "plugins": list}
    if not all(isinstance(header[name], kind) for name, kind in facts.items()):
        raise ValueError("a header of another kind")
    if not isinstance(header.get("on_device", []), list) or not isinstance(line.get("code", ""), str):
        raise ValueError("code of another kind")
    if not all(isinstance(line[name], dict) for name in ("spec", "parents", "reads")):
        raise ValueError("a node of another kind")
    for folder in [line["folder"], *(folder for folders in line["reads"].values() for folder in folders)]:
        _checked_folder(folder)
    if line["key"] != key or line["folder"] != f"artifacts/{line['stage']}/{line['label']}-{key}":
        raise ValueError(f"folder {line['folder']!r} for node {key}")
    return header, line


def _header(path: Path) -> Any:
    with path.open(encoding="utf-8") as lines:
        return json.loads(lines.readline())


def find_line(path: Path, key: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read a plan file's header and the node of a key.

    Raises:
        ValueError: there is no such file or node.
    """
    try:
        header, line = _header(path), Lines(path).find(key)
        if line is not None:
            return _checked(header, json.loads(line), key)
    except FileNotFoundError:
        raise ValueError(f"plan must exist, got {path}; make it with: rewind plan CONFIG --write") from None
    except _DAMAGE as error:
        raise not_whole(path, error) from None
    raise ValueError(f"node must be part of the plan {path.name}, got key {key}; plan again")


def members(path: Path) -> Callable[[str], list[list[int]]]:
    """Make what lists the members of an artifact of a plan by its key: a seed each, or a seed and an order.

    It raises a ValueError where the file is damaged; of what the plan does not have, there are no members.
    """
    lines = Lines(path)

    @cache
    def found(key: str) -> list[list[int]]:
        try:
            line = lines.find(key)
            spec = json.loads(line)["spec"] if line else {}
            own = spec.get("members") or [[seed] for seed in spec.get("seeds", ())]
            return own if own and isinstance(own[0], list) else []
        except _DAMAGE as error:
            raise not_whole(path, error) from None

    return found


def is_current(path: Path) -> bool:
    """Tell whether a plan file has keys of today's kind; one of an earlier kind can no longer be run.

    What is damaged counts as current, for `folders` to tell.
    """
    try:
        header = _header(path)
        return not ("inputs" in header and header.get("format") != fingerprint.FORMAT)
    except _DAMAGE:
        return True


def folders(path: Path) -> set[str]:
    """List the folders of all nodes of a plan file, under the results folder.

    Raises:
        ValueError: the file is damaged.
    """
    try:
        _, *nodes = map(json.loads, path.read_text(encoding="utf-8").splitlines())  # the header, too: torn, it needs nothing
        return {_checked_folder(node["folder"]) for node in nodes}
    except _DAMAGE as error:
        raise not_whole(path, error) from None


def nodes(path: Path) -> Iterator[dict[str, Any]]:
    """Read all nodes of a plan file one after the other, so that not all are in memory at once.

    Raises:
        ValueError: the file is gone or damaged.
    """
    try:
        with path.open(encoding="utf-8") as lines:
            header = json.loads(next(lines))
            for line in lines:
                node = json.loads(line)
                yield _checked(header, node, node["key"])[1]
    except (StopIteration, *_DAMAGE) as error:
        raise not_whole(path, error) from None


class Written:
    """A plan on disk as rules see it: nothing is planned anew, and no node is parsed that is not asked for.

    Args:
        path: the plan file, `<results>/plans/<identity>.jsonl`.

    Raises:
        ValueError: the file is gone or damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.results = path, path.parent.parent
        self._was_let_go = cache(partial(footprint.was_let_go, self.results))
        try:
            self._header = _header(path)
            self.adopted = dict(self._header["adopted"])
            self.keep = self._header.get("keep", "all")
            self.in_files = frozenset(map(str, self._header.get("in_files", ())))  # keys of data that jobs decode
            self.published = {str(copy): str(source) for copy, source in self._header["published"].items()}
            self._lines = Lines(path)
        except _DAMAGE as error:
            raise not_whole(path, error) from None

    @cached_property
    def nodes(self) -> dict[str, Node]:
        """All nodes, by key."""
        names = [field.name for field in fields(Node)]
        found = [Node(**{name: node[name] for name in names if name in node}) for node in nodes(self.path)]
        return {node.key: node for node in found}

    @cached_property
    def wanted(self) -> set[str]:
        """Keys of what is published."""
        return {Path(source).parent.name.rpartition("-")[2] for source in self.published.values()}

    @cached_property
    def _to_make(self) -> set[str]:
        """Keys of what a run would make."""
        return footprint.missing(self.nodes, self.wanted, self.results, self.keep)

    def waited_for(self) -> set[str]:
        """List the folders of what is read by what is still to be made."""
        parents = [each for key in self._to_make for keys in self.nodes[key].parents.values() for each in keys]
        return {self.nodes[each].folder for each in parents}

    def mark_begun(self) -> None:
        """Make the file the newest of its folder, by which those who watch know which plan is run."""
        with suppress(PermissionError):  # another user's
            os.utime(self.path)

    def _line(self, key: str) -> dict[str, Any]:
        try:
            line = self._lines.find(key)
            return _checked(self._header, json.loads(line), key)[1] if line else {}
        except _DAMAGE as error:
            raise not_whole(self.path, error) from None

    def node(self, name: str) -> dict[str, Any]:
        """Give the line of a node by its `<stage>/<label>-<key>`; a ValueError where there is none."""
        line = self._line(name.rpartition("-")[2])
        if line.get("folder") != f"artifacts/{name}":
            raise ValueError(f"node must be part of the plan, got {name}; ask for it with its own config")
        return line

    def reads(self, name: str) -> list[str]:
        """List the files that a node reads, asked as `node` is: of each parent the first, or its part of a table, and its record.

        What is there reads nothing with `keep: measured`, or where what it was made from was let go: it stays as it is.
        """
        line = self.node(name)
        try:
            part = f"{line['spec']['table']}.parquet" if line["stage"] == "tabulate" else None
            parents = [folder for folders in line["reads"].values() for folder in folders]
            stages = {folder: folder.split("/")[1] for folder in parents}
            first = {folder: part if part and stage != "tabulate" else STAGES[stage].files[0] for folder, stage in stages.items()}
        except _DAMAGE as error:
            raise not_whole(self.path, error) from None
        if (self.keep == "measured" or any(starmap(self._was_let_go, first.items()))) and line["key"] not in self._to_make:
            return []
        return [f"{folder}/{file}" for folder in parents for file in (first[folder], verification.RECORD)]

    def decodes(self, name: str) -> bool:
        """Whether a node's images stay in files and are decoded while it works, or checked by it; asked as `node` is."""
        line = self.node(name)
        try:
            data = [line["key"]] if line["stage"] == "prepare" else line["parents"].get("data", ())
            return not self.in_files.isdisjoint(data)
        except _DAMAGE as error:
            raise not_whole(self.path, error) from None
