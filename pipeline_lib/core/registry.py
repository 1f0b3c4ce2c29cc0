"""What a config may name: the public functions of a module or of the files of a folder.

Names and signatures are read from the source, so that checking a config imports neither torch nor the functions.
"""

from __future__ import annotations

import ast
import difflib
import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pipeline_lib.core import sources, values

PACKAGE = sources.ROOT
# The folders of stages, in the order in which work goes through them.
STAGES = tuple(f"stages/{folder}" for folder in ("states", "masks", "measurements", "landscape", "results"))
# Where the functions of each kind are: in the files of a folder or of several, or in one file.
PLACES: dict[str, str | tuple[str, ...]] = {
    **{"networks": "networks", "datasets": "datasets", "perturbations": "perturbations", "pretexts": "pretexts"},
    "symmetries": "networks/symmetries",
    **{name: f"training/{name}" for name in ("optimisers", "schedules", "initialisers")},
    **{name: f"pruning/{name}" for name in ("criteria", "ratios", "strategies")},
    **{"derivatives": "analysis/derivatives", "derived": "tables/derived", "figures": "figures"},
    **{"measures": "claims/measures", "claims": "claims/rules.py"},
    "stages": STAGES,  # each declares itself
}
# What plugins may add, files outside of the package that say their kind.
PLUGGABLE = (
    *("networks", "datasets", "optimisers", "schedules", "initialisers", "criteria", "derivatives", "ratios", "strategies"),
    *("perturbations", "pretexts", "symmetries"),
)
KIND = "KIND"  # the constant in which a plugin does


@dataclass(frozen=True)
class Entry:
    """One registered function: its module, required and defaulted options, and what `values.read` makes of their annotations."""

    module: str
    name: str
    required: tuple[str, ...]
    defaults: dict[str, Any]
    annotations: dict[str, Any]

    def load(self) -> Callable[..., Any]:
        """Import the function."""
        return getattr(importlib.import_module(self.module), self.name)


def unknown(what: str, value: object, valid: Sequence[str], remedy: str = "") -> ValueError:
    """Word the error of a name that does not exist, with the nearest one that does."""
    near = difflib.get_close_matches(str(value), valid, n=1)
    hint = f"did you mean {near[0]!r}?" if near else (remedy or "choose one of them")
    return ValueError(f"{what} must be one of {', '.join(sorted(valid))}, got {values.shown(value)}; {hint}")


def _entry(module: str, function: ast.FunctionDef) -> Entry:
    asked, arguments = function.args, function.args.args
    if asked.vararg or asked.kwarg or asked.kwonlyargs or asked.posonlyargs:
        rule = f"arguments of {function.name} in {module} must be plain ones, which a config can name"
        raise ValueError(f"{rule}, got *, ** or /; write each out")
    with_default = arguments[len(arguments) - len(asked.defaults) :]
    try:
        given = [ast.literal_eval(node) for node in asked.defaults]
    except ValueError:
        rule = f"defaults of {function.name} in {module} must be written out, as they are read without running it"
        raise ValueError(f"{rule}, got {', '.join(map(ast.unparse, asked.defaults))}; write values") from None
    defaults = {a.arg: list(v) if isinstance(v, tuple) else v for a, v in zip(with_default, given, strict=True)}
    annotations = {a.arg: values.read(a.annotation) for a in arguments}
    return Entry(module, function.name, tuple(a.arg for a in arguments if a.arg not in defaults), defaults, annotations)


def _kind(place: Path) -> object:
    """Read what kind of functions a plugin says that it has."""
    for node in _statements(place):
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == KIND for t in node.targets):
            return node.value.value if isinstance(node.value, ast.Constant) else ast.unparse(node.value)
    return None


def plug(files: Sequence[Path]) -> None:
    """Register the functions of plugins, instead of those that were plugged before.

    Args:
        files: each has functions of one kind, which it names: `KIND = "networks"`.

    Raises:
        ValueError: a file cannot be read, is no module, does not say its kind, or has a function of a name that is taken.
    """
    if not sources.plug(files):
        return
    for cached in (entries, declared, stated):
        cached.cache_clear()
    for place, file in sources.plugged().items():
        kind = _kind(place)
        if kind not in PLUGGABLE:
            raise ValueError(
                f"plugin {file} must say {KIND} = one of {', '.join(PLUGGABLE)}, got {values.shown(kind)}; write it at its top"
            )
        if not any(node.module == _module(place) for node in entries(str(kind)).values()):
            raise ValueError(f"plugin {file} must have a public function, got none; one is a name that a config may use")


def plugged(kind: str) -> list[Path]:
    """List the places in the package of the plugins of a kind."""
    return [place for place in sources.plugged() if _kind(place) == kind]


def _files(kind: str) -> list[Path]:
    places = [PACKAGE / place for place in folders(PLACES[kind])]
    return [path for place in places for path in ([place] if place.suffix else sources.public(place))] + plugged(kind)


def folders(place: str | tuple[str, ...]) -> tuple[str, ...]:
    """Give the folders or the file of an entry of `PLACES`."""
    return place if isinstance(place, tuple) else (place,)


def _module(path: Path) -> str:
    return ".".join(["pipeline_lib", *path.relative_to(PACKAGE).with_suffix("").parts])


def where(kind: str) -> str:
    """Name the folders or the file of a kind's functions."""
    return " or ".join(f"pipeline_lib/{place}" for place in folders(PLACES[kind]))


def modules(kind: str) -> dict[str, str]:
    """List the modules of a kind's files by their last names."""
    return {path.stem: _module(path) for path in _files(kind)}


def _statements(path: Path) -> list[ast.stmt]:
    try:
        return ast.parse(sources.read(path) or "").body
    except SyntaxError as error:
        raise ValueError(f"module {sources.shown(path)} must be Python, got: {error}; mend it") from None


def docstrings(kind: str) -> dict[str, str]:
    """Read what the functions of a kind say of themselves."""
    functions = [node for path in _files(kind) for node in _statements(path) if isinstance(node, ast.FunctionDef)]
    return {node.name: ast.get_docstring(node) or "" for node in functions if not node.name.startswith("_")}


@cache
def entries(kind: str) -> dict[str, Entry]:
    """List the functions of a kind, which is a key of `PLACES`.

    Raises:
        ValueError: two functions have one name, or a file is no Python.
    """
    found: dict[str, Entry] = {}
    homes: dict[str, str] = {}
    for path in _files(kind):
        module = _module(path)
        homes[module] = sources.shown(path) if path in sources.plugged() else module
        for node in _statements(path):
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                if node.name in found:
                    both = " and ".join(sorted({homes[found[node.name].module], homes[module]}))
                    raise ValueError(f"function {node.name} of {kind} must be defined once, got two in {both}; rename one")
                found[node.name] = _entry(module, node)
    return found


def lookup(kind: str, name: str, what: str, only: Sequence[str] | None = None) -> Entry:
    """Find a function by the name that a config gave.

    Raises:
        ValueError: there is no such function; the valid names are listed.
    """
    valid = {n: e for n, e in entries(kind).items() if only is None or n in only}
    if name not in valid:
        raise unknown(what, name, list(valid), f"add one in {where(kind)}")
    return valid[name]


def _checked(entry: Entry, option: str, value: Any, what: str) -> Any:
    """Hold an option's value against its annotation, and give it the one form that makes one key."""
    annotation, place = entry.annotations[option], f"{option} of {what} {entry.name}"
    if annotation is None:
        raise ValueError(
            f"{place} must be annotated with a name of pipeline_lib.core.values, got another; annotate it in {entry.module}"
        )
    words = [str(word) for word in values.words(annotation)]
    try:
        return values.check(place, annotation, value)
    except ValueError:
        if words:
            raise unknown(place, value, words) from None
        raise


def bind(
    kind: str, given: dict[str, Any], supplied: Sequence[str], what: str, only: Sequence[str] | None = None
) -> dict[str, Any]:
    """Check the options in `{"name": ..., option: ...}`, and complete them with the function's defaults.

    Args:
        kind: the registry.
        given: what the config says.
        supplied: arguments that the caller fills in, which a config may not name.
        what: path of this entry in the config, for errors.
        only: names to admit, where the module has helpers too.

    Raises:
        ValueError: an unknown name or option, a missing one, or a value that is not what the option's annotation asks for.
    """
    if not isinstance(given["name"], str):
        raise ValueError(f"{what}.name must be text, got {values.shown(given['name'])}; put quotation marks around it")
    entry = lookup(kind, given["name"], f"{what}.name", only)
    options = {k: v for k, v in given.items() if k != "name"}
    required = [name for name in entry.required if name not in supplied]
    valid = [*required, *entry.defaults]
    for option in options:
        if option not in valid:
            raise unknown(f"option of {what} {entry.name}", option, valid)
    missing = [name for name in required if name not in options]
    if missing:
        raise ValueError(f"{what} {entry.name} must have {missing[0]!r}, got none; add it to the config")
    complete = {**entry.defaults, **options}
    return {"name": entry.name, **{option: _checked(entry, option, value, what) for option, value in complete.items()}}


def call(kind: str, bound: dict[str, Any], **supplied: Any) -> Any:
    """Call a bound entry with its options and what the caller supplies."""
    return entries(kind)[bound["name"]].load()(**supplied, **{k: v for k, v in bound.items() if k != "name"})


def _assigned(kind: str, constant: str) -> Iterator[tuple[Path, ast.expr]]:
    """Find what the files of a kind assign to a constant."""
    for path in _files(kind):
        for node in _statements(path) if constant in (sources.read(path) or "") else ():
            if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == constant for t in node.targets):
                yield path, node.value


@cache
def declared(kind: str, constant: str) -> frozenset[str]:
    """Collect the names that the files of a folder list under a constant, such as `IN_FILES` in `datasets`."""
    found: set[str] = set()
    for _, value in _assigned(kind, constant):
        found |= set(ast.literal_eval(value))
    return frozenset(found)


@cache
def stated(kind: str, constant: str) -> dict[str, Any]:
    """Join what the files of a kind say of their functions in a constant, a literal mapping by name.

    Raises:
        ValueError: it is no literal mapping, or two files speak of one name.
    """
    found: dict[str, Any] = {}
    for path, value in _assigned(kind, constant):
        try:
            said = dict(ast.literal_eval(value))
        except (ValueError, TypeError):
            raise ValueError(f"{constant} of {path.name} must be a mapping in so many words, got more; write it out") from None
        for name in said.keys() & found.keys():
            raise ValueError(f"{constant} must speak of {name} in one file, got two, one of them {path.name}; remove one")
        found |= said
    return found
