"""Fingerprints of code: what makes a stage's results differ, and no more."""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent
_ANNOTATIONS = "pipeline_lib.values"  # says what a config may hold, and nothing about results


def _path(module: str) -> Path | None:
    base = PACKAGE.joinpath(*module.split(".")[1:])
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def _without_words(tree: ast.Module) -> ast.Module:
    """Leave out docstrings, and annotations of functions with what they are imported from: results do not depend on them."""
    tree.body = [node for node in tree.body if not (isinstance(node, ast.ImportFrom) and node.module == _ANNOTATIONS)]
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            node.annotation = None
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
                node.body = node.body[1:]
    return tree


def _imports(tree: ast.Module) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in found if name.startswith("pipeline_lib.") and _path(name)}


@cache
def _read(module: str) -> tuple[str, frozenset[str]]:
    path = _path(module)
    if path is None:
        raise ValueError(f"module must be part of pipeline_lib, got {module!r}; check its name")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imports = _imports(tree) - {_ANNOTATIONS}
    text = ast.dump(_without_words(tree))
    return hashlib.sha256(text.encode()).hexdigest(), frozenset(imports)


def closure(*modules: str) -> list[str]:
    """List modules and all that they import from this package, directly or not, sorted."""
    todo, seen = list(modules), set[str]()
    while todo:
        module = todo.pop()
        if module not in seen:
            seen.add(module)
            todo.extend(_read(module)[1])
    return sorted(seen)


@cache
def fingerprint(*modules: str) -> str:
    """Hash the syntax of modules and of all that they import from this package.

    Comments, docstrings, layout and the annotations of functions do not count; any other edit does.

    Args:
        modules: full names, such as `pipeline_lib.stages.train`.

    Returns:
        Twelve hexadecimal digits.
    """
    text = "\n".join(f"{module} {_read(module)[0]}" for module in closure(*modules))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
