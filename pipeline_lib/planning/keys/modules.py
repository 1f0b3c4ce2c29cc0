"""What a module's statements are to those who follow code: definitions, imports, and what it does beside."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from functools import lru_cache

from pipeline_lib.planning.keys.effects import changed, hidden_change, outer_changes, registers
from pipeline_lib.planning.keys.scopes import bound, imported, loaded, own_statements
from pipeline_lib.planning.keys.wordless import is_type_checking, without_words

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass
class Module:
    """A module's definitions by name, each the statements that make it, what imports make known, and all else that it does."""

    package: str
    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imports: dict[str, str] = field(default_factory=dict)
    acts: list[ast.stmt] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)
    stars: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)  # names that are imported when it is
    _left: dict[str, list[ast.stmt]] = field(default_factory=dict)

    def without_words(self, name: str) -> list[ast.stmt]:
        """Give what is left of a definition, or of what a module does beside (`*`), without words."""
        if name not in self._left:
            statements = self.acts if name == "*" else self.definitions[name]
            self._left[name] = [left for statement in statements for left in without_words(statement)]
        return self._left[name]

    def add(self, name: str, statement: ast.stmt) -> None:
        """Add a statement to what makes a definition."""
        self.definitions.setdefault(name, []).append(statement)


def _targets(statement: ast.stmt) -> list[ast.expr]:
    return getattr(statement, "targets", [getattr(statement, "target", None)])


def _sets(found: Module, statement: ast.stmt) -> set[str]:
    """Name what a statement defines or changes: also the definitions whose methods it calls."""
    methods = [node.func for node in ast.walk(statement) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    names = {changed(each) for each in (*methods, *_targets(statement)) if each}
    return {*bound([statement], found.package), *(name for name in names if name in found.definitions and name)}


def _only_sets(found: Module, statement: ast.stmt) -> bool:
    """Tell whether all that a statement does, and the blocks in it do, is to define or change names of its module."""
    if isinstance(statement, (ast.If, ast.Try)):
        blocks = [statement.body, statement.orelse, getattr(statement, "finalbody", [])]
        blocks += [handler.body for handler in getattr(statement, "handlers", [])]
        return all(_only_sets(found, each) for block in blocks for each in block)
    plain = isinstance(statement, (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Import, ast.ImportFrom, ast.Pass, *_DEFINITIONS))
    parts = [each for each in _targets(statement) if isinstance(each, (ast.Subscript, ast.Attribute))]
    return plain and all(changed(each) in found.definitions for each in parts)


def _is_main(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.If) and ast.unparse(statement.test) == "__name__ == '__main__'"


def _sort(found: Module, statement: ast.stmt) -> None:
    """Put one statement of a module in its place."""
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        if isinstance(statement, ast.ImportFrom) and any(alias.name == "*" for alias in statement.names):
            found.stars += imported(ast.ImportFrom(statement.module, [ast.alias("_")], statement.level), found.package).values()
        found.imports |= imported(statement, found.package)
        found.loads += loaded(statement, found.package)
    elif isinstance(statement, ast.If) and is_type_checking(statement.test):
        for each in statement.orelse:
            _sort(found, each)
    elif isinstance(statement, _DEFINITIONS):
        if any(isinstance(other, _DEFINITIONS) for other in found.definitions.get(statement.name, [])):
            found.odd.append(f"{statement.lineno}: {statement.name} is defined twice")
        for name in {statement.name, *(each for each in registers(statement) if each in found.definitions)}:
            found.add(name, statement)
        if hidden_change(statement, found.definitions):
            found.acts.append(statement)
            found.odd.append(f"{statement.lineno}: {statement.name} is registered elsewhere")
    elif not _is_main(statement) and not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
        names = _sets(found, statement)
        for node in own_statements([statement]):
            found.loads += loaded(node, found.package)
        for name in sorted(names):
            found.add(name, statement)
        if not _only_sets(found, statement) or hidden_change(statement, found.definitions):
            found.acts.append(statement)
            found.odd.append(f"{statement.lineno}: a statement that does more than define")


@lru_cache(maxsize=512)
def read(package: str, text: str) -> Module:
    """Sort a module's text.

    Raises:
        ValueError: it is no Python.
    """
    found = Module(package)
    try:
        body = ast.parse(text).body
    except SyntaxError as error:
        raise ValueError(f"modules of {package} must be Python, got: {error}; mend the file") from None
    for statement in body:
        _sort(found, statement)
    for line, name in [each for statement in body for each in outer_changes(statement, package)]:
        if name in found.definitions:
            found.odd.append(f"{line}: {name} is changed by a function")
            found.acts += found.definitions[name]
    return found
