"""What code does beside defining: changes of variables of a module that a walk along names does not meet."""

from __future__ import annotations

import ast
from collections.abc import Container, Iterator

from pipeline_lib.planning.keys.scopes import bound, own_statements, parameters

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
# Methods that change what they belong to, and functions that change what is everyone's.
_CHANGES = {
    *(
        "add",
        "append",
        "appendleft",
        "clear",
        "discard",
        "extend",
        "insert",
        "pop",
        "popitem",
        "register",
        "remove",
        "setdefault",
    ),
    *("update", "seed", "manual_seed", "simplefilter", "filterwarnings", "setattr", "delattr", "use_deterministic_algorithms"),
}


def changed(target: ast.expr) -> str | None:
    """Name the variable that an assignment to an item or an attribute changes."""
    while isinstance(target, (ast.Subscript, ast.Attribute, ast.Starred)):
        target = target.value
    return target.id if isinstance(target, ast.Name) else None


def _word(function: ast.expr) -> str:
    return str(getattr(function, "attr", getattr(function, "id", "")))


def is_change(call: ast.expr) -> bool:
    """Tell by its name whether a call, or a decorator that is one or is none, changes something: `TABLE.update`, `set_seed`."""
    word = _word(call.func if isinstance(call, ast.Call) else call)
    return word in _CHANGES or word.startswith("set_")


def hidden_change(statement: ast.stmt, own: Container[str | None]) -> bool:
    """Tell whether a definition, in what is done when its module is imported, changes something that is not the module's own."""
    decorators = getattr(statement, "decorator_list", [])
    at_import = [node for node in own_statements([statement]) if not isinstance(statement, _FUNCTIONS)]
    calls = [node for node in (*at_import, *decorators) if isinstance(node, ast.Call) or node in decorators]
    changes = [each.func if isinstance(each, ast.Call) else each for each in calls if is_change(each)]
    return any(changed(each) not in own or isinstance(each, ast.Name) for each in changes)


def registers(statement: ast.stmt) -> list[str]:
    """Name what decorators add a definition to, as `@function.register` does."""
    calls = [each.func if isinstance(each, ast.Call) else each for each in getattr(statement, "decorator_list", [])]
    return [name for each in calls if isinstance(each, ast.Attribute) and (name := changed(each))]


def outer_changes(statement: ast.AST, package: str, known: frozenset[str] = frozenset()) -> Iterator[tuple[int, str]]:
    """Find the variables of a module, by line and name, that the functions in a statement change; setting them anew is none.

    Args:
        statement: any statement of the module.
        package: what relative imports are relative to.
        known: names that are bound around it.
    """
    if isinstance(statement, _FUNCTIONS):
        body = statement.body if isinstance(statement.body, list) else [statement.body]
        known |= bound(body, package).keys() | parameters(statement.args).keys()
        yield from (change for node in body for change in _changes(node, known))
    for node in ast.iter_child_nodes(statement):
        yield from outer_changes(node, package, known)


def _changes(node: ast.AST, names: frozenset[str]) -> Iterator[tuple[int, str]]:
    for each in own_statements([node]):
        targets = getattr(each, "targets", [getattr(each, "target", None)]) if isinstance(each, ast.stmt) else []
        parts = [target for target in targets if isinstance(target, (ast.Subscript, ast.Attribute))]
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute) and is_change(each):
            parts.append(each.func)
        yield from ((part.lineno, name) for part in parts if (name := changed(part)) and name not in names)
