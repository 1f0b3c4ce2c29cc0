"""What a command line lays over config files: `KEY=VALUE` at the top, and `NAME.KEY=VALUE` of an experiment or a task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline_lib.core import registry
from pipeline_lib.experiments import config
from pipeline_lib.experiments.settings.groups import groups
from pipeline_lib.experiments.validation import parse_yaml, read_yaml

_LISTED = 12  # experiments and tasks that an error lists


def _pair(option: str, text: str, shape: str) -> tuple[str, Any]:
    name, separator, value = text.partition("=")
    if not separator:
        raise ValueError(f"{option} must be {shape}, got {text!r}; write the value as YAML")
    return name.strip(), parse_yaml(value, f"{option} {name}")


def _keys(group: str) -> list[str]:
    return [key.name for key in groups()[group].keys]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _tasks_of(experiment: Mapping[str, Any]) -> list[str]:
    asked = experiment.get("tasks") or []
    return [str(each) for each in asked] if isinstance(asked, (list, Mapping)) else []


def _nested(path: Sequence[str], value: Any) -> dict[str, Any]:
    made = {path[-1]: value}
    for name in reversed(path[:-1]):
        made = {name: made}
    return made


def _check_key(place: str, key: str, valid: Sequence[str]) -> None:
    if key not in valid:
        raise registry.unknown(f"key of {place}", key, valid)


def _of_experiment(name: str, rest: Sequence[str], experiment: Mapping[str, Any], value: Any) -> dict[str, Any]:
    """Place a value in an experiment; what is said of one of its tasks leaves the others in."""
    if rest[0] != "tasks" or len(rest) == 1:
        return _nested(["experiments", name, *rest], value)
    tasks = _tasks_of(experiment)
    _check_key(f"{name}.tasks", rest[1], tasks)
    listed: dict[str, Any] = {} if isinstance(experiment["tasks"], Mapping) else {task: {} for task in tasks}
    return _nested(["experiments", name, "tasks"], config.merge(listed, _nested(rest[1:], value)))


def _placed(path: Sequence[str], raw: Mapping[str, Any], value: Any) -> dict[str, Any]:
    """Find out what a dotted name speaks of: a key at the top, an experiment, or a task.

    An experiment and a task of one name have no key in common, so the key decides.
    """
    first, *rest = path
    top, experiments = _keys("config"), _mapping(raw.get("experiments"))
    tasks = {*_mapping(raw.get("tasks")), *config.task_files()}
    if first in top:
        if first == "experiments" and len(rest) > 1 and rest[0] in experiments:
            return _of_experiment(rest[0], rest[1:], _mapping(experiments[rest[0]]), value)
        return _nested(path, value)
    if not rest:
        raise registry.unknown(
            "key at the top of a config", first, top, "of an experiment's or task's keys, write NAME.KEY=VALUE"
        )
    valid = [*(_keys("experiment") if first in experiments else []), *(_keys("task") if first in tasks else [])]
    if not valid:
        used = [task for each in experiments.values() for task in _tasks_of(_mapping(each))]
        named = [*experiments, *used, *sorted(tasks)]
        near = named if len(named) <= _LISTED else [*experiments, *used]
        raise registry.unknown(
            "experiment or task", first, list(dict.fromkeys(near)), "name one of the config, or of config/tasks"
        )
    _check_key(first, rest[0], valid)
    if first in experiments and rest[0] in _keys("experiment"):
        return _of_experiment(first, rest, _mapping(experiments[first]), value)
    return _nested(["tasks", *path], value)


def layers(files: Iterable[Path], configs: Sequence[str] = (), sets: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    """Read a command line's overrides by option, the one that wins first.

    Args:
        files: the config files, whose experiments and tasks `sets` name.
        configs: `KEY=VALUE`, keys at the top, values in YAML.
        sets: `KEY=VALUE` or `NAME.KEY=VALUE`, a key of an experiment or task, or of a group in it: `small.pruning.fraction=0.5`.

    Raises:
        ValueError: there is no `=`, the value is no YAML, or a name is none that can be meant.
    """
    said: dict[str, Any] = {}
    for text in configs:
        key, value = _pair("--config", text, "KEY=VALUE")
        said = config.merge(said, {key: value})
    raw: dict[str, Any] = {}
    for file in files if sets else ():
        raw = config.merge(raw, read_yaml(file))
    placed: dict[str, Any] = {}
    for text in sets:
        name, value = _pair("--set", text, "NAME.KEY=VALUE")
        around = config.merge(config.merge(raw, said), placed)
        placed = config.merge(placed, _placed(name.split("."), around, value))
    return {"--set": placed, "--config": said}


def read(files: Iterable[Path], configs: Sequence[str] = (), sets: Sequence[str] = ()) -> dict[str, Any]:
    """Read a command line's overrides as one mapping, to be laid over each file; arguments and errors are those of `layers`."""
    over, under = layers(files, configs, sets).values()
    return config.merge(under, over)
