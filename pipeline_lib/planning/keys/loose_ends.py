"""Loose ends of the code: what could decide a result and not be in a key. Run as a program, it lists them."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

from pipeline_lib.core import registry, sources
from pipeline_lib.planning import declared, nodes
from pipeline_lib.planning.keys import fingerprint
from pipeline_lib.planning.keys.reach import Code
from pipeline_lib.planning.keys.scopes import loaded

# Where files may be opened: data sets, images, networks made elsewhere and what notebooks read are the user's, tables
# artifacts; others plan, or watch.
_FILES = (
    *("datasets", "core.jpegs", "core.locations", "tables", "claims.loading", "experiments", "planning", "commands", "notebook"),
    *("store.foreign", "store.lease", "store.processes", "store.progress", "report"),
)
_ASSETS = "report/assets"  # what a page consists of, which no stage reads
_OPENING = {
    *("open", "read_text", "read_bytes", "loadtxt", "genfromtxt", "fromfile", "memmap", "read_csv", "read_json", "read_parquet"),
    *(f"{module}.load" for module in ("np", "numpy", "torch", "json", "pickle")),
    *("yaml.safe_load", "read_table"),
}


def _texts(root: Path) -> dict[str, ast.Module]:
    """Parse all modules, by name.

    Raises:
        ValueError: one is no Python.
    """
    found = {}
    for path in sorted(root.rglob("*.py")):
        name = ".".join([root.name, *path.relative_to(root).with_suffix("").parts]).removesuffix(".__init__")
        try:
            found[name] = ast.parse(sources.read(path) or "")
        except SyntaxError as error:
            raise ValueError(f"module {name} must be Python, got: {error}; mend it") from None
    return found


def _package(root: Path, name: str) -> str:
    folder = root.joinpath(*name.split(".")[1:])
    return name if (folder / "__init__.py").is_file() else name.rpartition(".")[0]


@cache
def _known() -> frozenset[str]:
    """List the modules of Python itself and of the packages that this one requires."""
    project = tomllib.loads((sources.ROOT.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["report"]]
    required = {re.split(r"[<>=!~\[; ]", text)[0].lower() for text in asked}
    ours = {module for module, names in packages_distributions().items() if required & {name.lower() for name in names}}
    return frozenset(ours | set(sys.stdlib_module_names) | {fingerprint.CODE.name})


def _data_files(root: Path) -> Iterator[str]:
    for path in sorted(root.rglob("*")):
        if path.is_file() and path.suffix not in (".py", ".pyc") and path.parent != root / _ASSETS:
            yield f"{path.name}: package must hold modules alone, got a data file; write its values into a module"


def _of_module(root: Path, name: str, tree: ast.Module) -> Iterator[str]:
    """Find star imports, helpers from outside, and files that are read by what measures."""
    own = name.partition(".")[2]
    carries = own in fingerprint.CARRIERS or f"{own}.".startswith(tuple(f"{place}." for place in _FILES))
    for node in ast.walk(tree):
        place = f"{name}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            yield f"{place}: import must name what it takes, got a star; name it"
        for full in loaded(node, _package(root, name)):
            if full.split(".")[0] not in _known():
                yield f"{place}: import must be of this package or one that it requires, got {full}; move it into the package"
        if isinstance(node, ast.Call) and not carries and (called := _opens(node.func)):
            yield f"{place}: file must be read by a data set or from an artifact, got {called}; write its values into a module"


def _opens(function: ast.expr) -> str | None:
    full = ast.unparse(function)
    word, own = full.rpartition(".")[2], full.startswith(("artifacts.", "tabulation."))
    return full if not own and not _OPENING.isdisjoint({full, word}) else None


def _cycles(root: Path, trees: dict[str, ast.Module]) -> Iterator[str]:
    """Find modules that import each other, wherever in them."""
    graph: dict[str, set[str]] = {}
    for name, tree in trees.items():
        full = [each for node in ast.walk(tree) for each in loaded(node, _package(root, name))]
        graph[name] = {each if each in trees else each.rpartition(".")[0] for each in full} & trees.keys() - {name}
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> Iterator[str]:
        if module in trail:
            circle = " > ".join([*trail[trail.index(module) :], module])
            yield f"{module}: import must lead down, got a cycle: {circle}; move what both need into a third"
        elif module not in done:
            for target in sorted(graph[module]):
                yield from visit(target, (*trail, module))
            done.add(module)

    for module in sorted(graph):
        yield from visit(module, ())


def _unfollowed(code: Code) -> Iterator[str]:
    """Find what the walk from each stage cannot follow, whichever functions a config names."""
    for stage in declared.STAGES:
        asked, before = fingerprint.asked(stage, (), code), None
        while asked != before:
            named = tuple((kind, name) for kind in asked for name in registry.entries(kind))
            asked, before = fingerprint.asked(stage, named, code), asked
        missing = [kind for kind in asked if kind not in nodes._NAMES]
        yield from (f"stage {stage}: kind {kind} must be in nodes._NAMES, got none; say where specs name it" for kind in missing)
        for place in fingerprint.odd_places(stage, named, code):
            yield f"{place}: code must be followed to definitions, got this; write it so that names lead there"


def find(code: Code = fingerprint.CODE) -> list[str]:
    """List all loose ends of a package, one a line: where, what must be, what there is, what to do."""
    found = list(_data_files(code.root))
    try:
        trees = _texts(code.root)
        found += [line for name, tree in trees.items() for line in _of_module(code.root, name, tree)]
        found += _cycles(code.root, trees)
        found += _unfollowed(code)
    except ValueError as error:
        found.append(str(error))
    return [*dict.fromkeys(found)]


def main() -> int:
    """Print them; exit with 1 if there are any."""
    found = find()
    for line in found:
        print(f"error: {line}", file=sys.stderr)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
