"""The JSON schema of a config, made from the declared keys."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from pipeline_lib.core import values
from pipeline_lib.experiments.settings.groups import groups
from pipeline_lib.experiments.settings.keys import REQUIRED, Key, Named, Shape, keys
from pipeline_lib.experiments.settings.whole import Asked

_LINK = re.compile(r"\[(.*?)\]\(.*?\)")
_TYPES = {int: "integer", float: "number", str: "string", bool: "boolean"}
_LENGTH = {
    "title": "a length such as 500 (steps), 500it or 2ep (epochs)",
    "oneOf": [
        {"type": "integer", "minimum": 0, "maximum": 1000000000000},
        {"type": "string", "pattern": r"^[0-9]{1,12}([.][0-9]{1,12})?(ep|it)$(?!\n)"},
    ],
}


def _limit(limit: Any) -> dict[str, Any]:
    """Say a limit as JSON Schema does; what it cannot say is checked when the value is read."""
    if isinstance(limit, values.Items):
        return ({"minItems": limit.least} if limit.least else {}) | ({} if limit.repeated else {"uniqueItems": True})
    if not isinstance(limit, values.In):
        return {}
    low, high = (int(bound) if bound == int(bound) else bound for bound in limit.bounds)
    return {
        "exclusiveMinimum" if limit.interval[0] == "(" else "minimum": low,
        "exclusiveMaximum" if limit.interval[-1] == ")" else "maximum": high,
    }


def _of(annotation: Any) -> dict[str, Any]:
    """Translate an annotation."""
    base, limits = values.bare(annotation), values.limits_of(annotation)
    for limit in limits:
        if isinstance(limit, Shape):
            return {"title": limit.rule, **limit.schema}
        if isinstance(limit, values.Steps | Named):
            return {"$ref": "#/$defs/length" if isinstance(limit, values.Steps) else "#/$defs/named"}
    if values.words(base):
        return {"enum": list(values.words(base))}
    item = values.item(annotation)
    shape = {"type": _TYPES[base]} if item is None else {"type": "array", "items": _of(item)}
    return shape | {name: value for limit in limits for name, value in _limit(limit).items()}


def _property(key: Key) -> dict[str, Any]:
    """Describe a key: its rule, meaning and default, as an editor shows them."""
    found = {"$ref": f"#/$defs/{key.name}"} if key.group or key.annotation is dict else _of(key.annotation)
    words = [
        _LINK.sub(r"\1", key.meaning),
        *([f"in {key.unit}"] if key.unit else []),
        *([f"default: {key.words}"] if key.words else []),
    ]
    found |= {"description": "; ".join(words)}
    if key.default is REQUIRED or key.default is None or callable(key.default):
        return found
    return found | {"default": list(key.default) if isinstance(key.default, tuple) else key.default}


@cache
def schema() -> dict[str, Any]:
    """Make the schema; every value that it allows is allowed, or refused for what several keys say together."""
    shapes: dict[str, Any] = {}
    for name, group in groups().items():
        own = {key.name: _property(key) for key in group.keys}
        shapes[name] = {"type": "object", "description": group.about, "additionalProperties": False, "properties": own}
    whole, experiment = shapes.pop("config"), shapes["experiment"]
    grid = {name: each for name, each in experiment["properties"].items() if name not in {key.name for key in keys(Asked)}}
    shapes["grid"] = {**experiment, "type": ["object", "null"], "properties": grid}
    for name in ("experiment", "checkpoint", "mask"):
        shapes[name]["required"] = [key.name for key in groups()[name].keys if key.default is REQUIRED]
    shapes |= {"length": _LENGTH, "named": {"type": "object", "properties": {"name": {"type": "string"}}}}
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Rewind configuration"}
    return {**head, **whole, "required": ["experiments"], "$defs": shapes}


def text() -> str:
    """Write the schema as YAML, as `workflow/schemas/config.schema.yaml` holds it."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Repeats what stands twice."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    head = "# Written by `make docs` from pipeline_lib/experiments/settings, which is where a key is added or changed.\n"
    return head + yaml.dump(schema(), Dumper=Dumper, sort_keys=False, default_flow_style=None, allow_unicode=True, width=130)
