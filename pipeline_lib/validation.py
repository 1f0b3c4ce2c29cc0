"""Reading YAML, and checking a config's shape against its schema."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from pipeline_lib import registry

SCHEMA = Path(__file__).parent.parent / "workflow" / "schemas" / "config.schema.yaml"


def read_yaml(path: Path) -> dict[str, Any]:
    """Read one YAML file safely.

    Raises:
        ValueError: it is missing, or not a mapping.
    """
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"config file must exist, got {path}; check its path") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a date such as 2026-13-01 is a plain ValueError
        raise ValueError(
            f"config file {path} must be YAML, got: {(str(error) or repr(error)).splitlines()[0]}; mend it"
        ) from None
    if not isinstance(content, dict):
        raise ValueError(f"config file {path} must be a mapping, got {type(content).__name__}; see config/config.yaml")
    return content


@cache
def _schema() -> dict[str, Any]:
    return read_yaml(SCHEMA)


@cache
def _validator() -> Any:
    """Make integers of JSON Schema those of Python: 2.0 is none, and neither is true."""
    import jsonschema

    base = jsonschema.Draft202012Validator
    types = base.TYPE_CHECKER.redefine("integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool))
    return jsonschema.validators.extend(base, type_checker=types)


def _place(path: Sequence[Any]) -> str:
    return ".".join(str(part) for part in path) or "config"


def _explain(error: Any) -> str:
    """Word one schema error: the thing, the rule, the remedy."""
    if error.validator == "additionalProperties" and isinstance(error.schema["additionalProperties"], bool):
        valid = sorted(error.schema["properties"])
        key = next(k for k in error.instance if k not in valid)
        near = difflib.get_close_matches(str(key), valid, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "remove it"
        return f"key of {_place(error.absolute_path)} must be one of {', '.join(valid)}, got {key!r}; {hint}"
    if error.validator == "enum":
        return str(registry.unknown(_place(error.absolute_path), error.instance, [str(v) for v in error.validator_value]))
    rules = {
        "minimum": "at least {}",
        "exclusiveMinimum": "above {}",
        "maximum": "at most {}",
        "exclusiveMaximum": "below {}",
        "type": "of type {}",
        "pattern": "text that matches {}",
        "minItems": "a list of at least {}",
        "required": "a mapping with the keys {}",
    }
    rule = rules.get(error.validator, "valid ({})").format(error.validator_value)
    return f"{_place(error.absolute_path)} must be {rule}, got {error.instance!r}; correct the config"


def validate(raw: Mapping[str, Any]) -> None:
    """Check the shape of a config against the schema.

    Raises:
        ValueError: the first error, by the place in the config.
    """
    validator = _validator()(_schema())
    errors = sorted(validator.iter_errors(raw), key=lambda e: (len(e.absolute_path), str(e.absolute_path)))
    if errors:
        error = errors[0]
        while error.context:
            error = max(error.context, key=lambda e: (len(e.absolute_path), e.validator != "type"))
        raise ValueError(_explain(error))
