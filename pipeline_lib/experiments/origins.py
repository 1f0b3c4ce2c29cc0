"""A complete config, with where each value comes from: what is said nowhere has its default."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline_lib.experiments import config
from pipeline_lib.experiments.experiment import Config, Experiment
from pipeline_lib.experiments.settings.keys import as_json, keys
from pipeline_lib.experiments.validation import read_yaml

Said = Sequence[tuple[str, Mapping[str, Any]]]  # by origin, what it says; the one that wins first
DEFAULT = "default"


def _under(said: Said, *path: str) -> list[tuple[str, Mapping[str, Any]]]:
    """Go down in what each origin says, as far as it is mappings."""
    found = []
    for origin, value in said:
        inside: Any = value
        for name in path:
            inside = inside.get(name) if isinstance(inside, Mapping) else None
        found += [(origin, inside)] if isinstance(inside, Mapping) else []
    return found


def _has(value: Any, path: Sequence[str]) -> bool:
    for name in path:
        if not isinstance(value, Mapping) or name not in value:
            return False
        value = value[name]
    return True


def origin(said: Said, path: Sequence[str]) -> str:
    """Find the origin that decides a value.

    A part with another name, such as another optimiser, brings its own options: those of the one below it do not count.
    """
    name = None
    for where, value in said:
        part = value.get(path[0])
        if isinstance(part, Mapping) and "name" in part:
            if name not in (None, part["name"]):
                return DEFAULT
            name = part["name"]
        if _has(value, path):
            return where
    return DEFAULT


def _values(group: Any) -> dict[str, Any]:
    """Write what a group says as a config does, without what is not asked for."""
    found = {}
    for key in keys(type(group)):
        value = getattr(group, key.name)
        if value is not None:
            found[key.name] = _values(value) if key.group else as_json(value)
    return found


def _lines(value: Mapping[str, Any], said: Said, indent: int, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Write a mapping as YAML, a value a line with its origin."""
    import yaml

    for name, each in value.items():
        where, margin = (*path, name), "  " * (indent + len(path))
        if isinstance(each, Mapping) and each:
            yield f"{margin}{name}:"
            yield from _lines(each, said, indent, where)
        elif each is not None:
            text = yaml.safe_dump([each], default_flow_style=True, width=10**6, allow_unicode=True).strip()[1:-1]
            yield f"{margin}{name}: {text}  # {origin(said, where)}"


def _task(task: Mapping[str, Any], lineage: Sequence[str], said: Said) -> Iterator[str]:
    files, own = config.task_files(), list[tuple[str, Mapping[str, Any]]]()
    for name in lineage:  # a task, what it is based on, and so on
        own += _under(said, "tasks", name)
        own += [(f"file:{files[name].relative_to(config.ROOT)}", read_yaml(files[name]))] if name in files else []
    yield f"  {task['name']}:"
    yield from _lines({key: value for key, value in task.items() if key != "name"}, own, 2)


def _experiment(e: Experiment, said: Said) -> Iterator[str]:
    general = _under(said, "experiments", e.name)
    yield f"  {e.name}:"
    claimed = {"claims": list(e.claims)} if e.claims else {}
    drawn = [figure for figure in e.figures if figure != config.BOARD or not e.claims]
    yield from _lines({"figures": drawn, **claimed}, general, 2)
    yield "    tasks:"
    for task, grid in e.grids.items():
        yield f"      {task}:"
        own = [*_under(said, "experiments", e.name, "tasks", task), *general]
        yield from _lines({**_values(grid), **grid.asked}, own, 4)


def report(made: Config, said: Said) -> str:
    """Write a config as YAML that says everything, and asks for the same plan.

    Args:
        made: what files and overrides make together.
        said: what each of them says, the one that wins first.
    """
    grids = {task: grid for e in made.experiments.values() for task, grid in e.grids.items()}
    top: dict[str, Any] = {"results": str(made.results), "data_root": str(made.data_root) if made.data_root else None}
    top |= {"environment": made.environment, "per_job": _values(next(iter(grids.values())).per_job)}
    around = [*said, *([("PIPELINE_DATA_ROOT", {"data_root": ""})] if os.environ.get("PIPELINE_DATA_ROOT") else [])]
    lines = [*_lines(top, around, 0), "tasks:"]
    for grid in grids.values():
        lines += _task(grid.task, grid.lineage, said)
    lines.append("experiments:")
    for e in made.experiments.values():
        lines += _experiment(e, said)
    return "\n".join(lines)
