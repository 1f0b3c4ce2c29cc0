"""What a config may name: the public functions of a module or of the files of a folder.

Names and signatures are read from the source, so that checking a config imports neither torch nor the functions.
"""

from __future__ import annotations

import ast
import difflib
import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent


@dataclass(frozen=True)
class Entry:
    """One registered function: its module, required and defaulted options, and the words that an option may be."""

    module: str
    name: str
    required: tuple[str, ...]
    defaults: dict[str, Any]
    words: dict[str, tuple[Any, ...]]

    def load(self) -> Callable[..., Any]:
        """Import the function."""
        return getattr(importlib.import_module(self.module), self.name)


def unknown(what: str, value: object, valid: Sequence[str], remedy: str = "") -> ValueError:
    """Word the error of a name that does not exist, with the nearest one that does."""
    near = difflib.get_close_matches(str(value), valid, n=1)
    hint = f"did you mean {near[0]!r}?" if near else (remedy or "choose one of them")
    return ValueError(f"{what} must be one of {', '.join(sorted(valid))}, got {value!r}; {hint}")


def _words(annotation: ast.expr | None) -> tuple[Any, ...]:
    """Read the values of a `Literal[...]`, none for another annotation."""
    if not (
        isinstance(annotation, ast.Subscript) and isinstance(annotation.value, ast.Name) and annotation.value.id == "Literal"
    ):
        return ()
    values = ast.literal_eval(annotation.slice)
    return values if isinstance(values, tuple) else (values,)


def _entry(module: str, function: ast.FunctionDef) -> Entry:
    arguments = function.args.args
    with_default = arguments[len(arguments) - len(function.args.defaults) :]
    values = [ast.literal_eval(node) for node in function.args.defaults]
    defaults = {a.arg: list(v) if isinstance(v, tuple) else v for a, v in zip(with_default, values, strict=True)}
    words = {a.arg: _words(a.annotation) for a in arguments if _words(a.annotation)}
    return Entry(module, function.name, tuple(a.arg for a in arguments if a.arg not in defaults), defaults, words)


@cache
def entries(kind: str) -> dict[str, Entry]:
    """List the functions of a kind: `networks`, `datasets` (folders), `optim`, `schedules`, … (modules)."""
    place = PACKAGE / kind
    files = sorted(place.glob("[!_]*.py")) if place.is_dir() else [place.with_suffix(".py")]
    found: dict[str, Entry] = {}
    for path in files:
        module = ".".join(["pipeline_lib", *path.relative_to(PACKAGE).with_suffix("").parts])
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                found[node.name] = _entry(module, node)
    return found


def lookup(kind: str, name: str, what: str, only: Sequence[str] | None = None) -> Entry:
    """Find a function by the name that a config gave.

    Raises:
        ValueError: there is no such function; the valid names are listed.
    """
    valid = {n: e for n, e in entries(kind).items() if only is None or n in only}
    if name not in valid:
        raise unknown(what, name, list(valid), f"add one as a file in pipeline_lib/{kind}")
    return valid[name]


def bind(
    kind: str, given: dict[str, Any], supplied: Sequence[str], what: str, only: Sequence[str] | None = None
) -> dict[str, Any]:
    """Complete `{"name": ..., option: ...}` with the function's defaults.

    Args:
        kind: the registry.
        given: what the config says.
        supplied: arguments that the caller fills in, which a config may not name.
        what: path of this entry in the config, for errors.
        only: names to admit, where the module has helpers too.

    Raises:
        ValueError: an unknown name or option, or a missing one.
    """
    entry = lookup(kind, given["name"], f"{what}.name", only)
    options = {k: v for k, v in given.items() if k != "name"}
    required = [name for name in entry.required if name not in supplied]
    valid = [*required, *entry.defaults]
    for option in options:
        if option not in valid:
            raise unknown(f"option of {what} {entry.name}", option, valid)
    for option, value in options.items():
        if option in entry.words and value not in entry.words[option]:
            raise unknown(f"{option} of {what} {entry.name}", value, entry.words[option])
    missing = [name for name in required if name not in options]
    if missing:
        raise ValueError(f"{what} {entry.name} must have {missing[0]!r}, got none; add it to the config")
    # A whole number where a fraction is meant: 5 and 5.0 are one option, and so one key.
    whole = {k: float(v) for k, v in options.items() if isinstance(entry.defaults.get(k), float) and type(v) is int}
    return {"name": entry.name, **entry.defaults, **options, **whole}


def call(kind: str, bound: dict[str, Any], **supplied: Any) -> Any:
    """Call a bound entry with its options and what the caller supplies."""
    return entries(kind)[bound["name"]].load()(**supplied, **{k: v for k, v in bound.items() if k != "name"})


@cache
def declared(kind: str, constant: str) -> frozenset[str]:
    """Collect the names that the files of a folder list under a constant, such as `IN_FILES` in `datasets`."""
    found: set[str] = set()
    for path in sorted((PACKAGE / kind).glob("[!_]*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == constant for t in node.targets):
                found |= set(ast.literal_eval(node.value))
    return frozenset(found)
