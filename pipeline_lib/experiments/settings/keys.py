"""What a config key is, and how a group of keys is read: given values in their one form, defaults for the others.

    @dataclass(frozen=True, kw_only=True)
    class Planes:
        '''Planes through solutions of the last rewind step's ladder.'''

        points: Points = key(51, "points", "points along each side")

A default is a value, `REQUIRED`, or a function of the task's part of the experiment, with words for it. What keys ask for
together, a method `checked(place, grid)` of the group refuses or completes.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import cache
from types import SimpleNamespace, UnionType
from typing import Any, TypeVar

from pipeline_lib.core import values
from pipeline_lib.experiments import lengths

T = TypeVar("T")
REQUIRED: Any = object()


@dataclass(frozen=True, eq=False)
class Shape:
    """A type that the words of `values` lack: its rule, and its JSON schema."""

    rule: str
    schema: dict[str, Any]


@dataclass(frozen=True)
class BeforeEnd:
    """Lists of steps that lie before the end of training; they are put in order."""

    def __str__(self) -> str:
        """Word it."""
        return ", below the end of training"


@dataclass(frozen=True)
class Named:
    """Names with options of a registry's functions, which are given `supplied` besides."""

    kind: str
    supplied: tuple[str, ...] = ()


@dataclass(frozen=True)
class Key:
    """One key of a group.

    Args:
        name: as a config says it.
        annotation: its type and rule, in the words of `values`, or its group.
        default: a value, a function of what it depends on, or `REQUIRED`.
        unit: what a number counts; empty where it counts nothing.
        meaning: one line.
        words: how the default is worded where its value does not say it.
    """

    name: str
    annotation: Any
    default: Any
    unit: str
    meaning: str
    words: str = ""

    @property
    def group(self) -> Any:
        """The group that is under this key, None where there is none."""
        return self.annotation if isinstance(self.annotation, type) and is_dataclass(self.annotation) else None


def key(default: Any, unit: str, meaning: str, words: str = "") -> Any:
    """Declare a key: a field of a group."""
    return field(metadata={"key": (default, unit, meaning, words)})


def _present(annotation: Any) -> Any:
    """Leave the None out of an annotation of what may be absent."""
    is_union = typing.get_origin(annotation) in (typing.Union, UnionType)
    return next((each for each in typing.get_args(annotation) if is_union and each is not type(None)), annotation)


@cache
def _keys(group: type) -> tuple[Key, ...]:
    kinds = typing.get_type_hints(group, include_extras=True)
    own = [each for each in fields(group) if "key" in each.metadata]
    return tuple(Key(each.name, _present(kinds[each.name]), *each.metadata["key"]) for each in own)


def keys(group: Any) -> tuple[Key, ...]:
    """List the keys of a group in their order; other fields are none."""
    return _keys(group)


def defaults(group: type) -> dict[str, Any]:
    """Give the default values of a group, those left out that are required, absent or depend on others."""
    return {
        each.name: each.default
        for each in keys(group)
        if each.default is not REQUIRED and each.default is not None and not callable(each.default)
    }


def said(group: Any) -> dict[str, Any]:
    """Write what a group says as a node's spec does, nothing if there is none."""
    return {each.name: as_json(getattr(group, each.name)) for each in keys(type(group))} if group else {}


def as_json(value: Any) -> Any:
    """Make a list of a tuple, as JSON does."""
    return list(value) if isinstance(value, tuple) else value


def refuse_repetitions(place: str, given: Sequence[Any], meant: Sequence[Any]) -> None:
    """Refuse a list that says one thing twice in different words, such as 10 and 10it."""
    for i, each in enumerate(meant):
        if each in meant[:i]:
            both = f"{given[meant.index(each)]} and {given[i]}"
            raise ValueError(f"{place} must be a list without repetitions, got {both}, which are both {each}; remove one")


def _as_list(place: str, annotation: Any, given: Any, task: Mapping[str, Any]) -> tuple[Any, ...]:
    limits, item = values.limits_of(annotation), values.item(annotation)
    if isinstance(given, int):
        return tuple(range(given))
    meant = tuple(read(f"{place}.{i}", item, each, task) for i, each in enumerate(given))
    if any(isinstance(limit, values.Items) and not limit.repeated for limit in limits):
        refuse_repetitions(place, given, meant)
    if BeforeEnd() not in limits:
        return meant
    for step in meant:
        if step >= task["steps"]:
            raise ValueError(f"{place} must be below {task['name']}'s {task['steps']} steps, got {step}; lower it")
    return tuple(sorted(meant))


def read(place: str, annotation: Any, given: Any, task: Mapping[str, Any]) -> Any:
    """Read a value that the schema allows: lengths become steps of a task, lists become tuples.

    Raises:
        ValueError: a length does not fit the task, or a list says one thing twice.
    """
    if given is not None and values.item(annotation) is not None:
        return _as_list(place, annotation, given, task)
    steps = next((limit for limit in values.limits_of(annotation) if isinstance(limit, values.Steps)), None)
    if steps is None or given is None:
        return str(given) if isinstance(given, int) and values.bare(annotation) is str else given  # a length as it is spelled
    found = lengths.to_steps(given, task)
    if found < steps.least:
        raise ValueError(f"{place} must be at least one step, got {given}; lengthen it")
    return found


def _build(group: type[T], place: str, given: Mapping[str, Any], around: Any, **supplied: Any) -> T:
    """Read a group's values: plain ones, then those that follow from others, then groups inside."""
    seen = SimpleNamespace(**supplied)
    task = getattr(around or seen, "task", {})
    for each in sorted(keys(group), key=lambda one: (one.group is not None, callable(given.get(one.name, one.default)))):
        asked, at = given.get(each.name, each.default), f"{place}.{each.name}"
        asked = asked(around or seen) if callable(asked) else asked
        inside = each.group and asked is not None
        setattr(seen, each.name, _build(each.group, at, asked, seen) if inside else read(at, each.annotation, asked, task))
    return group(**vars(seen))


def complete(group: type[T], place: str, given: Mapping[str, Any], **supplied: Any) -> T:
    """Read a group and those inside it, defaults for what is not given, and check what keys ask for together.

    Args:
        group: its class.
        place: where it is in the config, for errors.
        given: what the config says; its shape is checked.
        supplied: fields that are no keys; `task` tells the steps of an epoch.

    Raises:
        ValueError: naming the key, the rule and the remedy.
    """
    made: Any = _build(group, place, given, None, **supplied)
    inside = [each.name for each in keys(group) if hasattr(getattr(made, each.name), "checked")]
    made = replace(made, **{name: getattr(made, name).checked(f"{place}.{name}", made) for name in inside})
    return made.checked(place, made) if hasattr(made, "checked") else made
