"""Plugins: files outside of the package whose functions a config may name, as if they were in its folders."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import packages_distributions
from pathlib import Path

from pipeline_lib.core import locations, registry, sources
from pipeline_lib.experiments import starts


def _modules(tree: ast.Module) -> Iterator[str]:
    """List what a plugin imports, anywhere in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def _check(file: Path, place: Path) -> None:
    """Refuse helpers that no key would follow: what a plugin imports is Python's, installed, or of this package.

    Raises:
        ValueError: naming the file and what it imports.
    """
    installed = {"pipeline_lib", *sys.stdlib_module_names}
    others = [name for name in _modules(ast.parse(sources.read(place) or "")) if name.partition(".")[0] not in installed]
    for name in others:
        if name.startswith(".") or name.partition(".")[0] not in packages_distributions():
            raise ValueError(
                f"plugin {file} must import installed packages and pipeline_lib alone, got {name or '.'}; "
                "list that file under plugins, too, and import it from pipeline_lib.plugins"
            )


def plug(listed: Sequence[str]) -> tuple[str, ...]:
    """Register the functions of plugins, instead of those that were plugged before.

    Args:
        listed: paths, whose variables and home folder are written out.

    Returns:
        Absolute paths, in order.

    Raises:
        ValueError: naming the file that cannot be used, and why.
    """
    files = [Path(locations.expanded("plugins", path)).resolve() for path in listed]
    registry.plug(files)
    for place, file in sources.plugged().items():
        _check(file, place)
    return tuple(map(str, files))


sources.when_plugged(starts.forget)
