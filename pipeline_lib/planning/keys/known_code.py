"""The code of artifacts in words: the definitions that each digest of a results folder stands for, kept to be compared later."""

from __future__ import annotations

import ast
import difflib
import gzip
import hashlib
import json
import zlib
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from pathlib import Path

from pipeline_lib.core import files
from pipeline_lib.planning.keys.fingerprint import CODE, FORMAT, Named, fingerprint, reached
from pipeline_lib.planning.keys.reach import Code
from pipeline_lib.planning.keys.syntax import Reference

FOLDER = "plans/code"
# What reading a damaged file can raise; what it said is unknown then.
_DAMAGE = (OSError, EOFError, zlib.error, ValueError, LookupError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True, order=True)
class Definition:
    """One definition that decides results.

    Args:
        module: where it was, under the package.
        name: its name; `*` is what a module does beside its definitions.
        digest: of its canonical form.
        text: the same without words, to be read.
    """

    module: str
    name: str
    digest: str
    text: str


@dataclass(frozen=True)
class Sources:
    """What a digest stands for: definitions, and the format of files."""

    format: int
    definitions: tuple[Definition, ...]


def _definition(at: Reference, canonical: str, code: Code) -> Definition:
    statements = [ast.fix_missing_locations(statement) for statement in code.module(at.module).without_words(at.name)]
    digest = hashlib.sha256(canonical.encode()).hexdigest()[:12]
    return Definition(at.module.partition(".")[2], at.name, digest, "\n".join(map(ast.unparse, statements)))


def of(stage: str, named: Named, code: Code = CODE) -> Sources:
    """Give the definitions of the code of today that a stage and registered functions reach."""
    found = reached(stage, named, code)
    own = [_definition(at, written.text, code) for at, written in found.items() if at.module not in code.carriers]
    return Sources(FORMAT, tuple(sorted(own, key=lambda each: (each.module, each.name))))


def _files(results: Path) -> list[Path]:
    return sorted((results / FOLDER).glob("*.json.gz"))


def _read(path: Path) -> dict[str, Sources]:
    try:
        said = json.loads(gzip.decompress(path.read_bytes()))
        known, form = [Definition(*map(str, facts)) for facts in said["definitions"]], int(said["format"])
        return {digest: Sources(form, tuple(known[number] for number in numbers)) for digest, numbers in said["digests"].items()}
    except _DAMAGE:
        return {}


def read(results: Path) -> dict[str, Sources]:
    """Read all digests that are known in a results folder; a damaged file says nothing."""
    return {digest: found for path in _files(results) for digest, found in _read(path).items()}


def keep(results: Path, asked: Iterable[tuple[str, Named]]) -> None:
    """Write down what digests stand for, of those that are not known yet, in one file; it is named by what it says.

    Args:
        results: the results folder.
        asked: stages and registered functions.
    """
    known = read(results)
    new = {fingerprint(*each): of(*each) for each in sorted(set(asked)) if fingerprint(*each) not in known}
    if not new:
        return
    every = sorted({each for found in new.values() for each in found.definitions})
    number = {each: i for i, each in enumerate(every)}
    digests = {digest: [number[each] for each in found.definitions] for digest, found in new.items()}
    said = {"format": FORMAT, "digests": digests, "definitions": [astuple(each) for each in every]}
    text = json.dumps(said, sort_keys=True).encode()
    path = results / FOLDER / f"{hashlib.sha256(text).hexdigest()[:12]}.json.gz"
    files.write_atomic(path, lambda private: _write(private, gzip.compress(text, mtime=0)))


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def unused(results: Path, digests: Iterable[str]) -> list[Path]:
    """List the files that speak of none of the given digests; a damaged one is among them."""
    wanted = set(digests)
    return [path for path in _files(results) if wanted.isdisjoint(_read(path))]


def _by_name(found: Iterable[Definition]) -> dict[str, list[Definition]]:
    names: dict[str, list[Definition]] = {}
    for each in found:
        names.setdefault(each.name, []).append(each)
    return names


def _place(each: Definition) -> str:
    return f"{each.module}.{each.name}"


def differences(before: Sources, after: Sources, words: tuple[str, str] = ("before", "now")) -> dict[str, str]:
    """Compare two states of code by what their definitions are, wherever they are.

    Args:
        before: one.
        after: the other.
        words: what to call them.

    Returns:
        By name, a unified diff of what counts of the definition.
    """
    first = {(each.name, each.digest) for each in before.definitions}
    second = {(each.name, each.digest) for each in after.definitions}
    gone = _by_name(each for each in before.definitions if (each.name, each.digest) not in second)
    new = _by_name(each for each in after.definitions if (each.name, each.digest) not in first)
    found: dict[str, str] = {}
    for name in sorted({*gone, *new}):
        olds, news = gone.get(name, []), new.get(name, [])
        for i in range(max(len(olds), len(news))):
            old, now = (olds[i] if i < len(olds) else None), (news[i] if i < len(news) else None)
            found[_place(now or old or olds[0])] = _diff(old, now, words)
    return found


def _diff(old: Definition | None, new: Definition | None, words: tuple[str, str]) -> str:
    first, second = (f"{word}: {_place(each) if each else 'none'}" for word, each in zip(words, (old, new), strict=True))
    lines = [each.text.splitlines() if each else [] for each in (old, new)]
    diff = list(difflib.unified_diff(lines[0], lines[1], first, second, lineterm=""))
    same = [f"--- {first}", f"+++ {second}", "(the same words; what one of its names stands for is another)"]
    return "\n".join(diff or same)
