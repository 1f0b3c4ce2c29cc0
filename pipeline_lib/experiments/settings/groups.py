"""All groups of keys by name: those declared here, and options of experiments that stages declare in their files.

A stage's file may say, as a literal,

    SETTINGS = {
        "similarity": {
            "about": "how alike networks see images",
            "examples": {"default": 500, "unit": "images", "rule": "Count", "meaning": "training images that are compared"},
        },
    }

where a rule is an annotation in the words of `core.values`, and `about` may be left out. An experiment may then ask for
`similarity`, and its grids have `asked["similarity"]`, a mapping from keys to values.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pipeline_lib.core import registry, values
from pipeline_lib.experiments.settings.keys import Key, as_json, keys, read
from pipeline_lib.experiments.settings.options import Grid
from pipeline_lib.experiments.settings.whole import Asked, Checkpoint, Mask, Task, Whole

_SAYS = {"default", "unit", "rule", "meaning"}


@dataclass(frozen=True)
class Group:
    """Keys that stand together, and one line about them."""

    about: str
    keys: tuple[Key, ...]


def _stated(option: str, name: str, said: Any) -> Key:
    place = f"key {name} of option {option}"
    if not isinstance(said, dict) or said.keys() != _SAYS:
        raise ValueError(f"{place} must say {', '.join(sorted(_SAYS))}, got {values.shown(said)}; correct SETTINGS of its stage")
    try:
        annotation = values.read(ast.parse(said["rule"], mode="eval").body)
    except (SyntaxError, ValueError, TypeError):
        annotation = None
    if annotation is None:
        raise ValueError(
            f"rule of {place} must be in the words of pipeline_lib.core.values, got {values.shown(said['rule'])}; correct it"
        )
    return Key(name, annotation, values.check(f"default of {place}", annotation, said["default"]), said["unit"], said["meaning"])


@cache
def stage_options() -> dict[str, Group]:
    """Read the options that stages declare.

    Raises:
        ValueError: a declaration lacks something, or an option has the name of another key.
    """
    taken, found = {each.name for each in (*keys(Asked), *keys(Grid))}, {}
    for option, own in registry.stated("stages", "SETTINGS").items():
        if option in taken:
            raise ValueError(f"option {option} of a stage must have a name of its own, got a key's; rename it in SETTINGS")
        if not isinstance(own, dict):
            raise ValueError(f"option {option} must be a mapping of keys, got {values.shown(own)}; correct SETTINGS of its stage")
        about = own.get("about", "declared by a stage")
        found[option] = Group(about, tuple(_stated(option, name, own[name]) for name in own if name != "about"))
    return found


def complete_options(place: str, given: Mapping[str, Any], task: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Read those stages' options that an experiment asks for, defaults laid under them."""
    found: dict[str, dict[str, Any]] = {}
    for option, group in stage_options().items():
        for each in group.keys if option in given else ():
            at = f"{place}.{option}.{each.name}"
            checked = values.check(at, each.annotation, given[option].get(each.name, each.default))
            found.setdefault(option, {})[each.name] = as_json(read(at, each.annotation, checked, task))
    return found


def groups() -> dict[str, Group]:
    """List all groups, the whole config's first."""
    options = tuple(Key(option, dict, None, "", group.about) for option, group in stage_options().items())
    found = {
        "config": Group(_about(Whole), keys(Whole)),
        "task": Group(_about(Task), keys(Task)),
        "checkpoint": Group(_about(Checkpoint), keys(Checkpoint)),
        "mask": Group(_about(Mask), keys(Mask)),
        "experiment": Group(_about(Asked), (*keys(Asked), *keys(Grid), *options)),
    }
    for each in (*keys(Whole), *keys(Grid)):
        if each.group:
            found[each.name] = Group(_about(each.group), keys(each.group))
    return found | stage_options()


def _about(group: type) -> str:
    return (group.__doc__ or "").partition("\n")[0]
