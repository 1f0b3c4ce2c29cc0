"""All groups of keys by name: those declared here, and options of experiments that stages declare in their files.

A stage's file may say, as a literal,

    SETTINGS = {
        "similarity": {
            "examples": {"default": 500, "unit": "images", "rule": "Count", "meaning": "training images that are compared"},
        },
    }

where a rule is an annotation in the words of `core.values`. An experiment may then ask for `similarity`, and its grids have
`asked["similarity"]`, a mapping from keys to values.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pipeline_lib.core import registry, values
from pipeline_lib.experiments.settings.keys import Key, keys, read
from pipeline_lib.experiments.settings.options import Grid
from pipeline_lib.experiments.settings.whole import Asked, Task, Whole

_SAYS = {"default", "unit", "rule", "meaning"}


@dataclass(frozen=True)
class Group:
    """Keys that stand together, and one line about them."""

    about: str
    keys: tuple[Key, ...]


def _stated(option: str, name: str, said: Mapping[str, Any]) -> Key:
    place = f"key {name} of option {option}"
    if not isinstance(said, dict) or said.keys() != _SAYS:
        raise ValueError(f"{place} must say {', '.join(sorted(_SAYS))}, got {values.shown(said)}; correct SETTINGS of its stage")
    annotation = values.read(ast.parse(said["rule"], mode="eval").body)
    if annotation is None:
        raise ValueError(
            f"rule of {place} must be in the words of pipeline_lib.core.values, got {values.shown(said['rule'])}; correct it"
        )
    return Key(name, annotation, values.check(f"default of {place}", annotation, said["default"]), said["unit"], said["meaning"])


@cache
def stage_options() -> dict[str, tuple[Key, ...]]:
    """Read the options that stages declare.

    Raises:
        ValueError: a declaration lacks something, or an option has the name of another key.
    """
    found = registry.stated("stages", "SETTINGS")
    for option in found.keys() & {each.name for each in (*keys(Asked), *keys(Grid))}:
        raise ValueError(f"option {option} of a stage must have a name of its own, got a key's; rename it in SETTINGS")
    return {option: tuple(_stated(option, name, said) for name, said in own.items()) for option, own in found.items()}


def complete_options(place: str, given: Mapping[str, Any], task: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Read those stages' options that an experiment asks for, defaults laid under them."""
    found: dict[str, dict[str, Any]] = {}
    for option, own in stage_options().items():
        if option in given:
            at = f"{place}.{option}"
            asked = {each.name: given[option].get(each.name, each.default) for each in own}
            checked = {each.name: values.check(f"{at}.{each.name}", each.annotation, asked[each.name]) for each in own}
            found[option] = {each.name: read(f"{at}.{each.name}", each.annotation, checked[each.name], task) for each in own}
    return found


def groups() -> dict[str, Group]:
    """List all groups, the whole config's first."""
    options = tuple(Key(option, dict, None, "", f"[its keys](#{option})") for option in stage_options())
    found = {
        "config": Group(_about(Whole), keys(Whole)),
        "task": Group(_about(Task), keys(Task)),
        "experiment": Group(_about(Asked), (*keys(Asked), *keys(Grid), *options)),
    }
    for each in (*keys(Whole), *keys(Grid)):
        if each.group:
            found[each.name] = Group(_about(each.group), keys(each.group))
    return found | {
        option: Group(f"Asked of the stage that declares `{option}`.", own) for option, own in stage_options().items()
    }


def _about(group: type) -> str:
    return (group.__doc__ or "").partition("\n")[0]
