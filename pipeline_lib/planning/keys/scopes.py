"""Names of a block of code: which are its own, and what imported ones stand for."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

Scope = dict[str, str | None]  # names of a block: of imported ones what they stand for, of variables None
_NAMED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def imported(statement: ast.stmt, package: str) -> dict[str, str]:
    """List what an import makes known, by name; star imports are left out.

    Args:
        statement: the import, or any other statement.
        package: what relative imports are relative to.
    """
    if isinstance(statement, ast.Import):
        return {a.asname or a.name.split(".")[0]: a.name if a.asname else a.name.split(".")[0] for a in statement.names}
    if isinstance(statement, ast.ImportFrom):
        base = package.split(".")[: len(package.split(".")) + 1 - statement.level] if statement.level else []
        home = ".".join([*base, *([statement.module] if statement.module else [])])
        return {a.asname or a.name: f"{home}.{a.name}" for a in statement.names if a.name != "*"}
    return {}


def loaded(statement: ast.AST, package: str) -> list[str]:
    """List what an import loads, in full; of a name it may be the module or a part of it.

    Args:
        statement: the import, or anything else.
        package: what relative imports are relative to.
    """
    if isinstance(statement, ast.Import):
        return [alias.name for alias in statement.names]
    if isinstance(statement, ast.ImportFrom):
        names = [ast.alias(alias.name.replace("*", "_")) for alias in statement.names]
        return list(imported(ast.ImportFrom(statement.module, names, statement.level), package).values())
    return []


def own_statements(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Walk a block, without the blocks of functions and classes in it and without the variables of comprehensions."""
    for node in body:
        yield node
        if isinstance(node, ast.comprehension):
            yield from own_statements([node.iter, *node.ifs])
        elif not isinstance(node, (*_NAMED, ast.Lambda)):
            yield from own_statements(ast.iter_child_nodes(node))


def bound(body: Iterable[ast.AST], package: str) -> Scope:
    """List the names that a block binds."""
    found: Scope = {}
    outer: set[str] = set()
    imports: dict[str, str] = {}
    for node in own_statements(body):
        names: Iterable[str | None] = ()
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            names = [node.id]
        elif isinstance(node, (*_NAMED, ast.ExceptHandler, ast.MatchAs, ast.MatchStar)):
            names = [node.name]
        elif isinstance(node, ast.MatchMapping):
            names = [node.rest]
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            outer.update(node.names)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            for name, meaning in imported(node, package).items():
                names = [*names, *([name] if imports.get(name, meaning) != meaning else [])]  # it stands for one or the other
                imports[name] = meaning
        found |= {name: None for name in names if name}
    found = {**imports, **found}
    return {name: meaning for name, meaning in found.items() if name not in outer}


def parameters(arguments: ast.arguments) -> Scope:
    """List the parameters of a function."""
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    return {each.arg: None for each in every if each}
