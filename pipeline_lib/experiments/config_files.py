"""Config files: each is resolved with its own settings, and what they ask for is joined."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pipeline_lib.core import registry
from pipeline_lib.experiments import brought_files, config
from pipeline_lib.experiments.experiment import Config
from pipeline_lib.experiments.validation import read_yaml

# What holds for a whole run. Other settings are each file's own.
_SHARED = ("only", "results", "data_root", "environment", "keep")
_REMEDY = "give one of them another name, or use the files one after the other"


def content_hash(path: Path) -> str:
    """Hash what a YAML file says; comments and layout do not count.

    Raises:
        ValueError: it says what is no JSON, such as a date.
    """
    try:
        text = json.dumps(read_yaml(path), sort_keys=True)
    except (TypeError, RecursionError) as error:
        raise ValueError(f"config file {path} must say what JSON can, got: {error}; put quotation marks around it") from None
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def noted(path: Path) -> str:
    """Hash what a YAML file says, and after it its bytes, for `is_as_noted`."""
    return content_hash(path) + _bytes_hash(path)


def _bytes_hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def is_as_noted(path: Path, note: str) -> bool:
    """Tell whether a file is there and says what it said; one of the same bytes is not parsed.

    Args:
        path: the file.
        note: what `noted` gave of it.
    """
    return path.is_file() and (_bytes_hash(path) == note[12:] or content_hash(path) == note[:12])


def _difference(first: Any, second: Any, place: str) -> tuple[str, Any, Any]:
    """Find the first place in which two descriptions differ."""
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        for key in [*first, *(key for key in second if key not in first)]:
            if first.get(key) != second.get(key):
                return _difference(first.get(key), second.get(key), f"{place}.{key}")
    return place, first, second


def _agree(place: str, said: Mapping[str, Any]) -> None:
    """Refuse files that say different things of one thing.

    Args:
        place: what they speak of, as in a config.
        said: by file, what it says.
    """
    (name, first), *others = said.items()
    for other, second in others:
        if first != second:
            where, mine, theirs = _difference(first, second, place)
            raise ValueError(
                f"{where} must be one thing in all config files, got {mine} in {name} and {theirs} in {other}; {_REMEDY}"
            )


def _overridden(raws: Mapping[str, Mapping[str, Any]], overrides: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Lay overrides over each file: of experiments those that it has; a new one is added to the first."""
    overrides = config.typed(overrides)
    asked = overrides.get("experiments", {})
    known = {name for raw in raws.values() for name in raw.get("experiments") or {}} if isinstance(asked, Mapping) else set()
    found = {}
    for i, (file, raw) in enumerate(raws.items()):
        own = dict(overrides)
        if isinstance(asked, Mapping) and "experiments" in overrides:
            has = raw.get("experiments") or {}
            own["experiments"] = {name: e for name, e in asked.items() if name in has or (i == 0 and name not in known)}
        found[file] = config.merge(raw, own)
    return found


def _joined(configs: Mapping[str, Config]) -> Config:
    """Join what files ask for; an experiment or task that several of them name must be the same in all."""
    tasks: dict[str, dict[str, Any]] = {}
    experiments: dict[str, dict[str, Any]] = {}
    for file, each in configs.items():
        for name, e in each.experiments.items():
            experiments.setdefault(name, {})[file] = asdict(e)
            for task, grid in e.grids.items():
                tasks.setdefault(task, {})[file] = grid.task
    for task, said in tasks.items():
        _agree(f"tasks.{task}", said)
    for name, said in experiments.items():
        _agree(f"experiments.{name}", said)
    first = next(iter(configs.values()))
    brought = {digest: path for each in configs.values() for digest, path in each.brought.items()}
    named = {name: e for each in configs.values() for name, e in each.experiments.items()}
    return replace(first, experiments=named, brought=brought)


def _chosen(made: Config, only: Sequence[str]) -> Config:
    """Leave out experiments that are not asked for."""
    for name in only:
        if name not in made.experiments:
            raise registry.unknown("experiment of only", name, list(made.experiments))
    return replace(made, experiments={name: e for name, e in made.experiments.items() if name in only})


def _raws(paths: Sequence[Path]) -> dict[str, Mapping[str, Any]]:
    """Read files; the paths of plugins, checkpoints and masks are relative to the file that lists them."""
    found: dict[str, Mapping[str, Any]] = {}
    for path in paths:
        raw = read_yaml(path)
        if _are_paths(raw.get("plugins")):
            around = path.resolve().parent
            raw = {**raw, "plugins": [each if each[:1] in ("~", "$") else str(around / each) for each in raw["plugins"]]}
        found[str(path)] = {**raw, **brought_files.beside(raw, path.resolve().parent)}
    return found


def _are_paths(listed: Any) -> bool:
    return isinstance(listed, list) and all(isinstance(each, str) for each in listed)


def read(paths: Sequence[Path], overrides: Mapping[str, Any] | None = None) -> Config:
    """Read config files and join what they ask for, each with its own settings, and overrides laid over all of them.

    Args:
        paths: the files; without one, the overrides are the config.
        overrides: what was said on the command line.

    Raises:
        ValueError: a file is wrong, or two of them say different things of one experiment, task or setting.
    """
    whole = _overridden(_raws(paths) or {"the command line": {}}, overrides or {})
    listed = [raw["plugins"] for raw in whole.values() if "plugins" in raw]
    shared: dict[str, Any] = {}
    if listed and all(map(_are_paths, listed)):
        shared["plugins"] = list(dict.fromkeys(path for each in listed for path in each))  # jobs know those of all files
    for key in _SHARED:
        said = {file: raw[key] for file, raw in whole.items() if key in raw}
        if said:
            _agree(key, said)
            shared[key] = next(iter(said.values()))
    made = _joined({file: config.resolve(raw | shared) for file, raw in whole.items()})
    made = _chosen(made, shared["only"]) if "only" in shared else made
    if config.ROOT.is_relative_to(made.results.resolve()):
        raise ValueError(f"results must be a folder of its own, got {made.results}, which holds this checkout; name one in it")
    return made


def merged(paths: Sequence[Path], overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Write what `read` reads as one config; grouping into jobs is the first file's."""
    whole: dict[str, Any] = {}
    for raw in reversed(_overridden(_raws(paths), overrides or {}).values()):
        whole = config.merge(whole, raw)
    return whole


def task_files(made: Config) -> dict[str, list[Path]]:
    """List the files that each task of a config is described in: its own and those of its bases."""
    files = config.task_files()
    grids = {task: grid for e in made.experiments.values() for task, grid in e.grids.items()}
    return {task: [files[name] for name in grid.lineage if name in files] for task, grid in grids.items()}
