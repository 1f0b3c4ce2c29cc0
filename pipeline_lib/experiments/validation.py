"""Reading YAML, and checking a config's shape against the schema of its keys."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from pipeline_lib.core import registry, values
from pipeline_lib.experiments.settings import schema

_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")


def _loader() -> Any:
    """Make the loader of YAML that refuses what YAML 1.1 reads otherwise than its writer meant."""
    import yaml

    class Loader(yaml.SafeLoader):
        """Refuses keys that are said twice, and whole numbers that are not written in plain decimal digits."""

        def compose_mapping_node(self, anchor: Any) -> Any:
            node = super().compose_mapping_node(anchor)
            lines: dict[str, int] = {}
            for key, _ in node.value:
                line, name = key.start_mark.line + 1, str(key.value)
                if name in lines and key.tag != "tag:yaml.org,2002:merge":
                    raise yaml.YAMLError(f"line {line}: key {name!r} again, first in line {lines[name]}")
                lines[name] = line
            return node

        def compose_scalar_node(self, anchor: Any) -> Any:
            node = super().compose_scalar_node(anchor)
            kind = node.tag.rpartition(":")[2]
            odd = {"int": not _INTEGER.fullmatch(node.value), "float": bool(re.search("[_:]", node.value))}
            if odd.get(kind):
                read = self.construct_object(node)
                line = node.start_mark.line + 1
                raise yaml.YAMLError(f"line {line}: {node.value}, which YAML reads as {read}; write digits or quotation marks")
            return node

    return Loader


def _yaml_error(error: Exception) -> str:
    """Word what a parser says, with the line where it does."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    if mark and problem:
        return f"line {mark.line + 1}: {problem}"
    return (str(error) or repr(error)).splitlines()[0]


def parse_yaml(text: str, what: str) -> Any:
    """Read YAML safely.

    Args:
        text: the YAML.
        what: what it is, for errors, such as the path of a file.

    Raises:
        ValueError: it is not YAML, says a key twice, or has a number such as 040, 1:30, 0x1f or 1_000.
    """
    import yaml

    try:
        return _loader()(text).get_single_data()
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a date such as 2026-13-01 is a plain ValueError
        raise ValueError(f"{what} must be YAML, got: {_yaml_error(error)}; mend it") from None


def load_yaml(path: Path, what: str) -> Any:
    """Read one YAML file safely, whatever it holds.

    Args:
        path: the file.
        what: what it is, for errors, such as `config file`.

    Raises:
        ValueError: it is missing, cannot be read, or as for `parse_yaml`.
    """
    shown = str(path) if len(str(path)) <= 200 else f"{str(path)[:100]}…{str(path)[-100:]}"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ValueError(f"{what} must exist, got {shown}; check its path") from None
    except OSError as error:
        raise ValueError(f"{what} must be a file that may be read, got {shown}: {error.strerror}; check its path") from None
    except ValueError as error:
        raise ValueError(f"{what} {shown} must be YAML, got: {error}; mend it") from None
    return parse_yaml(text, f"{what} {shown}")


def read_yaml(path: Path) -> dict[str, Any]:
    """Read one config file. Keys such as `x-defaults` at its top hold anchors for the others and are left out.

    Raises:
        ValueError: it is not a mapping, or as for `load_yaml`.
    """
    content = load_yaml(path, "config file")
    if not isinstance(content, dict):
        got = "an empty file" if content is None else type(content).__name__
        raise ValueError(f"config file {path} must be a mapping, got {got}; see config/config.yaml")
    return without_anchors(content)


def without_anchors(content: Mapping[Any, Any]) -> dict[Any, Any]:
    """Leave out the keys `x-…` of a mapping."""
    return {key: value for key, value in content.items() if not str(key).startswith("x-")}


@cache
def _validator() -> Any:
    """Make integers of JSON Schema those of Python: 2.0 is none, and neither is true."""
    import jsonschema

    base = jsonschema.Draft202012Validator
    types = base.TYPE_CHECKER.redefine("integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool))
    return jsonschema.validators.extend(base, type_checker=types)


def _place(path: Sequence[Any]) -> str:
    return ".".join(str(part) for part in path) or "config"


_TYPES = {"integer": "a whole number", "number": "a number", "string": "text", "array": "a list", "object": "a mapping"} | {
    "boolean": "true or false",
    "null": "null",
}
_RULES = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
    "pattern": "text that matches {}",
    "maxLength": "text of at most {} characters",
    "minItems": "a list of at least {}",
    "minProperties": "a mapping of at least {}",
    "required": "a mapping with the keys {}",
}


def _kinds(types: Any) -> str:
    return " or ".join(_TYPES[each] for each in ([types] if isinstance(types, str) else types))


def _rule(error: Any) -> str:
    """Word the rule that was broken."""
    if error.validator == "type":
        return _kinds(error.validator_value)
    if error.validator == "oneOf":
        return error.schema.get("title") or " or ".join(
            dict.fromkeys(_kinds(each.validator_value) for each in error.context if each.validator == "type")
        )
    return _RULES.get(error.validator, "valid ({})").format(error.validator_value)


def _explain(error: Any) -> str:
    """Word one schema error: the thing, the rule, the remedy."""
    place = _place(error.absolute_path)
    if error.validator == "additionalProperties" and isinstance(error.schema["additionalProperties"], bool):
        valid = sorted(error.schema["properties"])
        key = next(k for k in error.instance if k not in valid)
        near = difflib.get_close_matches(str(key), valid, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "remove it"
        return f"key of {place} must be one of {', '.join(valid)}, got {values.shown(key)}; {hint}"
    if error.validator == "enum":
        return str(registry.unknown(place, error.instance, [str(v) for v in error.validator_value]))
    if error.validator == "uniqueItems":
        twice = next(each for i, each in enumerate(error.instance) if each in error.instance[:i])
        return f"{place} must be a list without repetitions, got {values.shown(twice)} more than once; remove one"
    return f"{place} must be {_rule(error)}, got {values.shown(error.instance)}; correct the config"


def _innermost(error: Any) -> Any:
    """Go down to what a value has wrong inside, or in size; where it is nothing of what may be, stay."""
    while error.context:
        deepest = max(error.context, key=lambda e: (len(e.absolute_path), e.validator != "type"))
        if deepest.validator in ("type", "pattern") and len(deepest.absolute_path) == len(error.absolute_path):
            break
        error = deepest
    return error


def _numbers(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], int | float]]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _numbers(each, (*path, key))
    elif isinstance(value, list):
        for i, each in enumerate(value):
            yield from _numbers(each, (*path, i))
    elif isinstance(value, (int, float)):
        yield path, value


def validate(raw: Mapping[str, Any]) -> None:
    """Check the shape of a config against the schema, and that its numbers are finite.

    Raises:
        ValueError: the first error, by the place in the config.
    """
    try:
        odd = next(((path, value) for path, value in _numbers(raw) if values.as_number(value + 0) is None), None)
    except RecursionError:
        raise ValueError("config must end somewhere, got a list or mapping that holds itself; remove that alias") from None
    if odd:
        rule = f"a finite number of at most {values.LARGEST:.0e}"
        raise ValueError(f"{_place(odd[0])} must be {rule}, got {values.shown(odd[1])}; correct the config")
    validator = _validator()(schema.schema())
    errors = sorted(validator.iter_errors(raw), key=lambda e: (len(e.absolute_path), str(e.absolute_path)))
    if errors:
        raise ValueError(_explain(_innermost(errors[0])))


def allows(shape: Mapping[str, Any], value: object) -> bool:
    """Say whether a scalar fits a schema without references."""
    return bool(_validator()(shape).is_valid(value))


def _alternatives(shape: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """List what a schema allows, references followed."""
    if "$ref" in shape:
        return _alternatives(schema.schema()["$defs"][shape["$ref"].rpartition("/")[2]])
    return [found for each in shape["oneOf"] for found in _alternatives(each)] if "oneOf" in shape else [shape]


def _inside(shape: Mapping[str, Any], key: Any) -> Mapping[str, Any]:
    """Give the schema of an item or of a key's value; an empty one where it says nothing of it."""
    for each in _alternatives(shape):
        rest = each.get("additionalProperties")
        found = each.get("items") if isinstance(key, int) else each.get("properties", {}).get(key, rest)
        if isinstance(found, Mapping):
            return found
    return {}


def along(value: Any, change: Callable[[Any, Sequence[Mapping[str, Any]]], Any], shape: Mapping[str, Any] | None = None) -> Any:
    """Change each scalar of a config by what the schema allows there.

    Args:
        value: the config, or a part of it.
        change: gets a scalar and the alternatives that the schema has for it, none where it says nothing.
        shape: the schema of the part.
    """
    shape = schema.schema() if shape is None else shape
    if isinstance(value, Mapping):
        return {key: along(each, change, _inside(shape, str(key))) for key, each in value.items()}
    if isinstance(value, list):
        return [along(each, change, _inside(shape, i)) for i, each in enumerate(value)]
    return change(value, _alternatives(shape))
