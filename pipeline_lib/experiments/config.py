"""The config: YAML to checked, completed settings. Torch-free, so that planning is quick."""

from __future__ import annotations

import copy
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline_lib.core import locations, registry, values
from pipeline_lib.experiments import brought_files, figure_needs, lengths, plugins, validation
from pipeline_lib.experiments.experiment import Config, Experiment
from pipeline_lib.experiments.settings.basics import PerJob
from pipeline_lib.experiments.settings.groups import complete_options
from pipeline_lib.experiments.settings.keys import REQUIRED, Named, complete, defaults, keys, refuse_repetitions
from pipeline_lib.experiments.settings.options import Grid
from pipeline_lib.experiments.settings.whole import Asked, Task, Whole

_PLACES = (Path(__file__).parents[2], Path(__file__).parents[2] / "share" / "rewind", Path(sys.prefix) / "share" / "rewind")
# The folder that has `config` and `workflow`: the checkout, or what was installed of it.
ROOT = next((place for place in _PLACES if (place / "config" / "tasks").is_dir()), _PLACES[0])
TASKS = ROOT / "config" / "tasks"
CLAIMS = ROOT / "config" / "claims"
BOARD = "claims_board"  # the figure that comes with them

# The registry of each named part of a task, and what its functions are given besides the options.
PARTS: dict[str, tuple[str, tuple[str, ...]]] = {
    key.name: (limit.kind, limit.supplied)
    for key in keys(Task)
    for limit in values.limits_of(key.annotation)
    if isinstance(limit, Named)
}


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one nested mapping over another; lists and scalars are replaced, as Snakemake does with its configs."""
    result = copy.deepcopy(dict(base))
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merge(result[key], value) if both else copy.deepcopy(value)
    return result


_WORDS = {"true": True, "false": False, "null": None}


def _guessed(value: Any, allowed: Sequence[Mapping[str, Any]]) -> Any:
    """Leave text where the schema takes it; else read what it takes, or what would get the better error."""
    if not isinstance(value, str):
        return value
    read = values.as_number(value)
    guess = _WORDS.get(value.lower(), value) if read is None else read
    return value if any(validation.allows(each, value) for each in allowed) else guess


def _in_one_form(value: Any, allowed: Sequence[Mapping[str, Any]]) -> Any:
    """Make a fraction of a whole number that stands for one, so that 1 and 1.0 make one key."""
    is_whole = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value + 0.0 if is_whole and any(each.get("type") == "number" for each in allowed) else value


def typed(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Give numbers and booleans inside `--config` values their types back; Snakemake hands nested ones over as text.

    Text stays where the schema takes text, such as names, and in options of networks, optimisers and the like: these follow
    their annotations. Only for overrides: what stands in a file has its type.

    Args:
        overrides: all of them, from the top of the config.
    """
    return dict(validation.along(overrides, _guessed))


def _overlay(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one description of a task over another; a part with another name replaces the whole part, options and all."""
    result = merge(base, over)
    for part in PARTS:
        name = over.get(part, {}).get("name")
        if name and name != base.get(part, {}).get("name"):
            result[part] = copy.deepcopy(over[part])
    return result


def task_files() -> dict[str, Path]:
    """List the tasks that have a file of their own in `config/tasks`."""
    return {path.stem: path for path in sorted(TASKS.glob("*.yaml"))}


def _describe(name: str, inline: Mapping[str, Any], chain: tuple[str, ...] = ()) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Merge a task's base, its file and what the config says of it inline, in this order; list the names on the way."""
    files = task_files()
    if name not in files and name not in inline:
        raise registry.unknown("task", name, [*files, *inline], "add it as a file in config/tasks")
    if name in chain:
        raise ValueError(f"base of task {name!r} must not lead back to itself, got {' > '.join([*chain, name])}; remove one")
    found = validation.read_yaml(files[name]) if name in files else {}
    validation.validate({"experiments": {"x": {"tasks": [name]}}, "tasks": {name: found}})
    found = _overlay(found, inline.get(name, {}))
    base, chain = found.pop("base", None), (*chain, name)
    if base is None:
        return found, chain
    under, lineage = _describe(base, inline, chain)
    return _overlay({key: value for key, value in under.items() if key != "title"}, found), lineage


def load_task(name: str, inline: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Complete one task: every option of its network, data set, optimiser and schedule is spelled out.

    Raises:
        ValueError: an unknown or missing name or option.
    """
    task = _overlay(defaults(Task), _describe(name, inline or {})[0])
    task.pop("title", None)  # words about it, which nothing that is made of it depends on
    for key in keys(Task):
        if key.default is REQUIRED and key.name not in task:
            where = f"config/tasks/{name}.yaml" if name in task_files() else f"tasks.{name}, or name a base there"
            raise ValueError(f"task {name} must have {key.name!r}, got none; add it to {where}")
    for part, (kind, supplied) in PARTS.items():
        if "name" not in task[part]:
            raise ValueError(f"{name}.{part} must have a name, got {task[part]!r}; add name: to it")
        task[part] = registry.bind(kind, task[part], supplied, f"{name}.{part}")
    lengths.steps_per_epoch(task)  # whether or not a length is in epochs: no batch may be larger than the data
    task |= {key: lengths.to_steps(task[key], task) for key in ("schedule", "steps", "evaluate_every") if key in task}
    _check_together(name, task)
    return {"name": name, **{key.name: key.default(task) for key in keys(Task) if callable(key.default)}, **task}


def _check_together(name: str, task: Mapping[str, Any]) -> None:
    """Refuse options that are right each by itself, and wrong together."""
    optimiser, dataset = task["optimiser"], task["dataset"]
    if task["steps"] < 1:
        raise ValueError(f"steps of task {name} must be at least 1, got {task['steps']}; lengthen the training")
    if optimiser.get("nesterov") and not optimiser["momentum"]:
        raise ValueError(f"momentum of {name}.optimiser must be above 0 with nesterov, got 0; raise it")
    if task["pad"] and "resize" in dataset:
        raise ValueError(
            f"pad of task {name} must be 0 for folders of images, got {task['pad']}; they are cropped at random anyway"
        )
    if dataset.get("resize", math.inf) < dataset.get("size", 0):
        raise ValueError(f"resize of {name}.dataset must be at least size = {dataset['size']}, got {dataset['resize']}; raise it")
    try:
        schedule = registry.call("schedules", task["schedule"])  # a schedule checks how its own options go together
        highest = max(map(schedule, {0, task["steps"] // 2, task["steps"], *task["schedule"].get("drops", [])}))
    except OverflowError:
        highest = math.inf
    except ValueError as error:
        raise ValueError(f"{name}.schedule: {error}") from None
    if not highest * optimiser["lr"] <= values.LARGEST:
        raise ValueError(
            f"factor of {name}.schedule must keep the learning rate finite, got {task['schedule']['factor']}; raise it"
        )


def _grid(place: str, asked: Mapping[str, Any], name: str, raw: Mapping[str, Any]) -> Grid:
    inline = raw.get("tasks", {})
    task, (description, lineage) = load_task(name, inline), _describe(name, inline)
    title = description.get("title") or name
    per_job = complete(PerJob, "per_job", raw.get("per_job", {}))
    options = complete_options(place, asked, task)
    own = brought_files.of_task(raw, task)
    return complete(Grid, place, asked, task=task, title=title, lineage=lineage, per_job=per_job, own=own, asked=options)


def _experiment(name: str, given: Mapping[str, Any], raw: Mapping[str, Any]) -> Experiment:
    e = {**defaults(Asked), **given}
    place = f"experiments.{name}"
    own = e["tasks"] if isinstance(e["tasks"], Mapping) else dict.fromkeys(e["tasks"])
    grids = {
        task: _grid(f"{place}.tasks.{task}" if over else place, merge(given, over or {}), task, raw) for task, over in own.items()
    }
    refuse_repetitions(f"titles of {place}.tasks", list(grids), [grid.title for grid in grids.values()])
    figures = e.get("figures", figure_needs.default_figures(list(grids.values())))
    board = [BOARD] if e["claims"] else []
    for figure in (figure for figure in figures if figure not in board):
        if figure not in figure_needs.FIGURES:
            raise registry.unknown(f"{place}.figures", figure, list(figure_needs.FIGURES))
        for grid in grids.values():
            if figure_needs.FIGURES[figure].sparse and not grid.sparse_level:
                raise ValueError(f"{place}.levels must be at least 1 for figure {figure}, got {grid.levels}; raise it")
        lacking = [figure_needs.FIGURES[figure].lacks(grid) for grid in grids.values()]
        if all(lacking):
            raise ValueError(f"{place} must have {lacking[0]} for figure {figure}, got none; add to it, or leave the figure out")
        option = figure_needs.FIGURES[figure].option
        if option and not any(grid.asks(option) for grid in grids.values()):
            raise ValueError(f"{place}.{option} must be given for figure {figure}, got none; add {option}: to the experiment")
    files = {path.stem: path for path in sorted(CLAIMS.glob("*.yaml"))}
    for claims in e["claims"]:
        if claims not in files:
            raise registry.unknown(f"{place}.claims", claims, list(files), "add it as a file in config/claims")
    return Experiment(name, grids, tuple(dict.fromkeys([*figures, *board])), tuple(e["claims"]))


def resolve(raw: Mapping[str, Any]) -> Config:
    """Check a merged config and complete it with defaults.

    Args:
        raw: as read from YAML, overrides applied, which were `typed` before.

    Raises:
        ValueError: naming the key, the rule and the remedy.
    """
    import os

    raw = validation.without_anchors(raw)
    if "fingerprints" in raw:
        raise ValueError(
            "fingerprints must be left out of a config, got pins of code; "
            "what other code made is kept by: rewind adopt CONFIG --keep STAGE"
        )
    raw |= {key: locations.expanded(key, raw[key]) for key in ("results", "data_root") if isinstance(raw.get(key), str)}
    validation.validate(raw)
    raw = validation.along(raw, _in_one_form)
    plugged = plugins.plug(raw.get("plugins", ()))
    raw = {**raw, **brought_files.digested(raw, {*task_files(), *raw.get("tasks", {})})}
    for name in raw["experiments"]:
        locations.check_experiment(name)
    settings = {**defaults(Whole), **raw}
    root = settings.get("data_root") or locations.expanded("PIPELINE_DATA_ROOT", os.environ.get("PIPELINE_DATA_ROOT", ""))
    return Config(
        Path(settings["results"]),
        Path(root) if root else None,
        {name: _experiment(name, e, raw) for name, e in raw["experiments"].items()},
        settings["environment"],
        settings["keep"],
        plugged,
        brought_files.places(raw),
    )


def chunks(values: Sequence[int], size: int) -> Iterator[tuple[int, ...]]:
    """Group replicates into jobs by `value // size`, so that more replicates never regroup full jobs."""
    blocks: dict[int, list[int]] = {}
    for value in values:
        blocks.setdefault(value // size, []).append(value)
    for block in sorted(blocks):
        yield tuple(blocks[block])
