"""What is not in a stage's key is spoilt, all at once, and the stage makes the same bytes; an edit of what is changes the key."""

from __future__ import annotations

import ast
import importlib
import os
import random
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import every_stage
import matplotlib.pyplot as plt
import pytest
from every_stage import At

from pipeline_lib.core import registry
from pipeline_lib.planning import driver, nodes, plan_file
from pipeline_lib.planning.keys import fingerprint
from pipeline_lib.planning.keys.fingerprint import CARRIERS, CODE, code_of
from pipeline_lib.planning.keys.syntax import Reference
from pipeline_lib.store.job import Job
from pipeline_lib.store.verification import RECORD, record

SAMPLE, BATCH = int(os.environ.get("REWIND_MUTATIONS", "120")), 6
Members = dict[str, list[list[int]]]


class Useless:
    """Cannot be used for anything."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(f"{object.__getattribute__(self, '_name')} is used and not in the key")

    def __call__(self, *given: Any, **named: Any) -> Any:
        return self.anything

    __iter__ = __len__ = __bool__ = __getitem__ = __contains__ = __add__ = __mul__ = __lt__ = __eq__ = __hash__ = __call__  # type: ignore[assignment]


@pytest.fixture(scope="module")
def made(base: Path) -> nodes.Plan:
    """A plan of all stages, made to its end."""
    return every_stage.finished(base).plan


@pytest.fixture(scope="module")
def firsts(made) -> dict[At, nodes.Node]:
    """A node of each stage and choice of registered functions."""
    return {(node.stage, nodes.named_functions(node.stage, node.spec)): node for node in reversed(made.nodes.values())}


@pytest.fixture(scope="module")
def members(made) -> Members:
    """What tables are told of the plan beside their own node."""
    read = plan_file.members(driver.write_plan(made, []))
    known = {key: read(key) for key in made.nodes}
    return lambda key: known.get(key, ())


def _counts(module: str) -> bool:
    return module.partition(".")[2] not in CARRIERS and sys.modules[module].__name__ != "pipeline_lib"


def _bound() -> Iterator[tuple[ModuleType, str, Reference]]:
    """List all names of all modules with the definitions of the package that they stand for."""
    for full, module in sorted(sys.modules.items()):
        if full.startswith("pipeline_lib.") and not full.endswith("__main__"):
            own = CODE.module(full)
            yield from ((module, name, Reference(full, name)) for name in own.definitions if hasattr(module, name))
            for name, meaning in own.imports.items():
                _, reference, rest = CODE._resolve(meaning)
                if reference and reference.name != "*" and not rest and hasattr(module, name):
                    yield module, name, reference


def _other(value: Any, reference: Reference) -> Any:
    """Give another value of a kind, so that who reads it makes something else of it."""
    if type(value) in (int, float):
        return value * 2 + 1
    return value + "~" if type(value) is str else Useless(f"{reference.module}.{reference.name}")


def _annotates(value: Any, name: str) -> bool:
    """Tell whether a definition may be for annotations or logs alone, which have no part in keys and are looked up still."""
    plain = isinstance(value, (int, float, str, tuple, list, dict, set, frozenset))
    return name == "log" or not (plain or (hasattr(value, "__code__") and not isinstance(value, type)))


@pytest.fixture(scope="module")
def spoils(made) -> list[tuple[ModuleType, str, Reference, Any]]:
    """What may be spoilt of the package: where, of which definition, and what to put there."""
    every = [(module, name, at, getattr(module, name)) for module, name, at in _bound() if _counts(at.module)]
    return [(module, name, at, _other(value, at)) for module, name, at, value in every if not _annotates(value, at.name)]


def _again(made: nodes.Plan, node: nodes.Node, root: Path, members: Members) -> dict[str, bytes]:
    """Make a node's files anew in another folder, to say the same of how they were made."""
    results, folder = made.config.results, root / node.folder
    said = record(results / node.folder)
    facts = {key: said[key] for key in ("code", "versions", "processor", "threads", "number_format", "made_in")}
    reads = {role: [results / parent.folder for parent in parents] for role, parents in made.parents(node).items()}
    brought = {digest: Path(path) for digest, path in made.config.brought.items()}
    job = Job(node.key, node.spec, folder, reads, None, facts, members, brought)
    importlib.import_module(registry.modules("stages")[node.stage]).run(job)
    plt.close("all")
    return _files(folder)


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != RECORD}


def test_what_is_not_in_a_key_decides_nothing(made, firsts, members, spoils, tmp_path):
    spoilt = 0
    for at, node in firsts.items():
        reached = fingerprint.reached(*at)
        first = _files(made.config.results / node.folder)
        with pytest.MonkeyPatch.context() as patch:
            for module, name, reference, other in spoils:
                if reference not in reached:
                    patch.setattr(module, name, other)
                    spoilt += 1
            again = _again(made, node, tmp_path, members)
        assert again == first, at
    assert spoilt > 100 * len(firsts)


def test_what_is_in_a_key_is_noticed(made, firsts, members, spoils, tmp_path):
    """Else nothing would have been spoilt above."""
    for at, node in firsts.items():
        reached = fingerprint.reached(*at)
        first, again = _files(made.config.results / node.folder), {}
        with pytest.MonkeyPatch.context() as patch:
            for module, name, reference, other in spoils:
                if reference in reached and reference.name != "run":
                    patch.setattr(module, name, other)
            with suppress(Exception):
                again = _again(made, node, tmp_path, members)
        assert again != first, at


def _constants(at: At) -> list[Reference]:
    """List numbers in a stage's key."""
    found = [each for each in fingerprint.reached(*at) if _counts(each.module) and each.name != "*"]
    return [each for each in found if type(getattr(sys.modules[each.module], each.name)) in (int, float)]


def test_constants_are_in_the_keys_of_stages_that_read_them(firsts):
    """Else the test above would have had none to spoil, or all."""
    assert all(len(_constants(at)) < 40 for at in firsts)
    assert {"STATISTICS_IMAGES"} <= {each.name for at in firsts for each in _constants(at)}


def _useless(text: str, names: set[str]) -> str:
    """Let functions of a module raise, and other definitions be another thing."""
    tree = ast.parse(text)
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name in names:
            node.body.append(ast.parse("raise NotImplementedError").body[0])
        elif isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value and names & _names(node):
            node.value = ast.Tuple([node.value, ast.Constant(1)], ast.Load())
    return ast.unparse(ast.fix_missing_locations(tree))


def _names(node: ast.Assign | ast.AnnAssign) -> set[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return {each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)}


def _sample() -> list[Reference]:
    """Choose definitions of one statement each."""
    every = [
        Reference(full, name)
        for full in sorted(sys.modules)
        if full.startswith("pipeline_lib.") and _counts(full) and not full.endswith("__main__")
        for name, statements in CODE.module(full).definitions.items()
        if len(statements) == 1 and isinstance(statements[0], (ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign))
    ]
    return random.Random(0).sample(every, SAMPLE)


def test_an_edit_changes_the_keys_of_what_reaches_it_and_no_others(firsts):
    before = {at: fingerprint.fingerprint(*at) for at in firsts}
    reached = {at: set(fingerprint.reached(*at)) for at in firsts}
    sample = _sample()
    changes = 0
    for begin in range(0, SAMPLE, BATCH):
        batch = sample[begin : begin + BATCH]
        edits: dict[str, str | None] = {}
        for module in {each.module for each in batch}:
            path = CODE._path(module)
            assert path
            edits[path] = _useless(CODE._text(path) or "", {each.name for each in batch if each.module == module})
        code = code_of(CODE.root, edits)
        changed = {at for at in firsts if fingerprint.fingerprint(*at, code) != before[at]}
        assert changed == {at for at in firsts if reached[at] & set(batch)}, batch
        changes += len(changed)
    assert changes > SAMPLE // BATCH
