"""Fingerprints of code: what makes a stage's results differ, and no more."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pipeline_lib.core import sources
from pipeline_lib.core.registry import PLACES
from pipeline_lib.planning.keys.reach import Code
from pipeline_lib.planning.keys.syntax import Reference, Written

# Modules that carry results without deciding them: their text has no part in keys, what they use of other modules has.
CARRIERS = (
    *(f"core.{name}" for name in ("files", "pace", "processors", "registry", "sources", "values")),
    *(f"store.{name}" for name in ("artifacts", "device", "environment", "job", "resumption", "seals", "verification")),
)
FORMAT = 1  # of what they write and read; raise it when bytes on disk come to mean something else: all is made anew
_PACKAGE = "pipeline_lib"
_LOADERS = ("call", "entries", "lookup", "bind")  # of `registry`

Named = tuple[tuple[str, str], ...]  # kind and name of registered functions


def code_of(root: Path, edits: dict[str, str | None] | None = None) -> Code:
    """Read the source of a folder as this package's, with other texts for some files."""
    loaders = [f"{_PACKAGE}.core.registry.{name}" for name in _LOADERS]
    return Code(root, [f"{_PACKAGE}.{name}" for name in CARRIERS], loaders, PLACES, edits)


CODE = code_of(Path(__file__).parents[2])


def _roots(stage: str, named: Named, code: Code) -> list[Reference]:
    run = Reference(code.home("stages", stage), "run")
    return [run, *(code.registered(kind, name) for kind, name in sorted(set(named)))]


def reached(stage: str, named: Named = (), code: Code = CODE) -> dict[Reference, Written]:
    """Follow a stage's `run` and registered functions to all definitions of the package that they use.

    Raises:
        ValueError: there is no such stage or function.
    """
    return code.reach(_roots(stage, named, code))


@cache
def asked(stage: str, named: Named = (), code: Code = CODE) -> tuple[str, ...]:
    """List the kinds of registered functions that a stage and registered functions ask for, sorted.

    Raises:
        ValueError: a place asks for a kind that it does not name in so many letters, so that nobody can tell what it reaches.
    """
    found = reached(stage, named, code)
    for reference, written in found.items():
        if None in written.kinds:
            where = f"{reference.module}.{reference.name}"
            raise ValueError(f"kind of registered functions must be named by {where}, got a variable; write the name there")
    return tuple(sorted({str(kind) for written in found.values() for kind in written.kinds}))


@cache
def fingerprint(stage: str, named: Named = (), code: Code = CODE) -> str:
    """Hash all definitions that a stage's `run` reaches, and those that the given registered functions reach.

    A definition counts by its name and what it does. Comments, docstrings, layout, annotations, log calls, words of errors and
    its file do not count.

    Args:
        stage: its name.
        named: registered functions, as kind and name.
        code: the package.

    Returns:
        Twelve hexadecimal digits.
    """
    return code.digest(_roots(stage, named, code), f"format {FORMAT}")


def odd_places(stage: str, named: Named = (), code: Code = CODE) -> list[str]:
    """List what cannot be followed to a definition, so that all of a module counts: `module:line: what`."""
    return sorted({place for written in reached(stage, named, code).values() for place in written.odd})


def _forget() -> None:
    """Read the package anew, as it has other plugins."""
    CODE.forget()
    asked.cache_clear()
    fingerprint.cache_clear()


sources.when_plugged(_forget)
