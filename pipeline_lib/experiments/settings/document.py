"""The key table, `docs/config.md`, made from the declared keys."""

from __future__ import annotations

from typing import Any

from pipeline_lib.core import values
from pipeline_lib.experiments.settings.groups import groups
from pipeline_lib.experiments.settings.keys import REQUIRED, Key, Named, Shape

_HEAD = """\
# Config keys

All keys of a config, a table a group. `pipeline_lib/experiments/settings` and stages' `SETTINGS` declare them; `make docs`
writes this page and the JSON schema `workflow/schemas/config.schema.yaml`, which shows meanings and defaults in editors where a
config begins with

    # yaml-language-server: $schema=../workflow/schemas/config.schema.yaml

A misspelt key is refused with the nearest valid one, and so is, before anything runs, a value of another type, sign or size.
A number of steps may be a length: `500`, `500it`, or `2ep`, which are epochs of whole batches. A number is written in plain
digits (YAML's 040, 1:30 and 1_000 are refused) and once: a key again, or 10 and 10it in one list, is a mistake. Anchors may live
under keys that begin with `x-`, which say nothing else. Names and options inside `{name: …, option: …}` are functions and
arguments in `pipeline_lib`.
"""


def _default(key: Key) -> str:
    if key.words:
        return key.words
    if key.default is REQUIRED:
        return "required"
    if key.group or key.annotation is dict:
        return "not asked for" if key.default is None else "its keys'"
    return "none" if key.default is None else f"`{_spelled(key.default)}`"


def _spelled(value: Any) -> str:
    """Spell a value as YAML does."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_spelled(each)}" for name, each in value.items()) + "}"
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(_spelled, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _rule(key: Key) -> str:
    if key.group or key.annotation is dict:
        return f"[keys](#{key.name})"
    limits = values.limits_of(key.annotation)
    named = next((f"a name in `{limit.kind}`, with its options" for limit in limits if isinstance(limit, Named)), "")
    item = values.item(key.annotation)
    own = [limit for limit in (*limits, *values.limits_of(item)) if isinstance(limit, Shape)]
    words = values.rule(key.annotation).replace(", or a length such as 500it or 2ep", "")
    return named or next((limit.rule for limit in own), words)


def _row(key: Key) -> str:
    meaning = key.meaning.replace("|", "\\|")
    return f"| `{key.name}` | {_default(key)} | {key.unit} | {meaning} | {_rule(key)} |"


def document() -> str:
    """Write the page."""
    head = "| key | default | unit | meaning | rule |\n| --- | --- | --- | --- | --- |"
    lines = [_HEAD]
    for name, group in groups().items():
        about = f"{group.about[0].upper()}{group.about[1:].rstrip('.')}."
        lines += [f"## {name}", "", about, "", head, *map(_row, group.keys), ""]
    return "\n".join(lines)
