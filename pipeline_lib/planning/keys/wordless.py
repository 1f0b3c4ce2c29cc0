"""Code without its words: what is left of a definition when all is left out that cannot change a result.

Left out are docstrings, annotations, log calls, the words of errors, imports, and variables that only make such words.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Sequence
from typing import Any, TypeVar

_Node = TypeVar("_Node", bound=ast.AST)
_LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
# What makes words and changes nothing: builtins that use up no iterator, and methods of text and mappings.
_PURE = {"abs", "bool", "float", "int", "isinstance", "len", "range", "repr", "round", "str", "type"}
_PURE_METHODS = {
    *("format", "items", "join", "keys", "lower", "partition", "removeprefix", "removesuffix", "rpartition", "split"),
    *("splitlines", "strip", "upper", "values"),
}
_MARKS = ("ClassVar", "InitVar", "KW_ONLY")  # annotations that make a field another kind of thing
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_TELLING = (StopIteration, StopAsyncIteration, BaseExceptionGroup)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Lambda)


def _acts(node: ast.AST) -> list[ast.expr]:
    """List the parts of an expression that may do something, outermost first."""
    if isinstance(node, ast.Call):
        function = node.func
        pure = isinstance(function, ast.Name) and function.id in _PURE
        pure = pure or (isinstance(function, ast.Attribute) and function.attr in _PURE_METHODS)
        if not pure and not _is_error(function):
            return [node]
    if isinstance(node, (ast.Yield, ast.YieldFrom, ast.Await, ast.NamedExpr)):
        return [node]
    found = [act for child in ast.iter_child_nodes(node) for act in _acts(child)]
    # A part of a comprehension means nothing without it.
    return [node] if found and isinstance(node, _COMPREHENSIONS) else found


def _is_error(function: ast.expr) -> bool:
    """Tell whether a call makes one of Python's own errors, of which nobody reads more than the class."""
    named = getattr(builtins, function.id, None) if isinstance(function, ast.Name) else None
    return isinstance(named, type) and issubclass(named, Exception) and not issubclass(named, _TELLING)


def _is_log(call: ast.expr) -> bool:
    function = call.func if isinstance(call, ast.Call) else None
    return (
        isinstance(function, ast.Attribute)
        and function.attr in _LEVELS
        and isinstance(function.value, ast.Name)
        and function.value.id == "log"
    )


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def is_type_checking(test: ast.expr) -> bool:
    """Tell whether a block is there for type checkers alone."""
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def _unused(function: ast.AST) -> set[str]:
    """List the variables that a function sets and does not use."""
    found, used = set[str](), set[str]()
    for node in ast.walk(function):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else found).add(node.id)
        elif isinstance(node, ast.Global):
            used.update(node.names)
    return found - used


def _targets(statement: ast.Assign) -> set[str] | None:
    """Name what an assignment sets, if these are plain variables."""
    found: set[str] = set()
    for target in statement.targets:
        for each in target.elts if isinstance(target, ast.Tuple) else [target]:
            if not isinstance(each, ast.Name):
                return None
            found.add(each.id)
    return found


class _Unset(ast.NodeTransformer):
    """Leaves out assignments to variables that only made words, and conditions that then decide nothing."""

    def __init__(self, unused: set[str]) -> None:
        self._unused = unused

    def visit_Assign(self, node: ast.Assign) -> ast.Assign | None:
        names = _targets(node)
        return None if names and names <= self._unused and not _acts(node.value) else node

    def visit_If(self, node: ast.If) -> ast.If | None:
        self.generic_visit(node)
        return node if node.body or node.orelse or _acts(node.test) else None


class _Strip(ast.NodeTransformer):
    def __init__(self) -> None:
        self._inside: list[str] = []

    def _within(self, kind: str, node: _Node) -> _Node:
        self._inside.append(kind)
        self.generic_visit(node)
        self._inside.pop()
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        return self._within("class", node)

    def _function(self, node: Any) -> Any:
        node.returns = None
        if "function" in self._inside:
            return self._within("function", node)
        self._within("function", node)
        before: set[str] = set()
        while (unused := _unused(node)) != before:
            before = unused
            node = _Unset(unused).visit(node)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> Any:
        return self._function(node)

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        self.generic_visit(node)
        if self._inside[-1:] == ["class"]:
            words = {str(getattr(n, "id", getattr(n, "attr", getattr(n, "value", "")))) for n in ast.walk(node.annotation)}
            node.annotation = ast.Constant(" ".join(mark for mark in _MARKS if any(mark in word for word in words)))
            return node
        return ast.Assign([node.target], node.value) if node.value else None

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        if isinstance(node.value, ast.Constant):
            return None
        if _is_log(node.value):
            acts = [act for part in ast.iter_child_nodes(node.value) for act in _acts(part)]
            return ast.Expr(ast.Tuple([self.visit(act) for act in acts], ast.Load())) if acts else None
        self.generic_visit(node)
        return node

    def visit_Raise(self, node: ast.Raise) -> ast.Raise:
        exc = node.exc
        if isinstance(exc, ast.Call) and _is_error(exc.func):
            exc = exc.func
        elif isinstance(exc, ast.Call):  # an error of our own may carry more than words
            exc.args = [each for each in exc.args if not _is_text(each)]
            exc.keywords = [each for each in exc.keywords if not _is_text(each.value)]
        return ast.Raise(self.visit(exc) if exc else None, None)

    def visit_Call(self, node: ast.Call) -> ast.Call:
        if _is_error(node.func):
            acts = [act for part in (*node.args, *node.keywords) for act in _acts(part)]
            node.args, node.keywords = acts, []
        self.generic_visit(node)
        return node

    def visit_Assert(self, node: ast.Assert) -> ast.Assert:
        node.msg = None
        self.generic_visit(node)
        return node

    def visit_If(self, node: ast.If) -> Any:
        if is_type_checking(node.test):
            return [kept for each in node.orelse if (kept := self.visit(each))]
        self.generic_visit(node)
        return node if node.body or node.orelse or _acts(node.test) else None

    def visit_Pass(self, node: ast.Pass) -> None:
        return None


def without_words(statement: ast.stmt) -> Sequence[ast.stmt]:
    """Take the words out of a statement, which is changed.

    A log call that calls something keeps that call, since it may do more than make words; so does an error that is not raised.
    Of a `raise` there stays what it raises without text, of errors of Python's own the class alone. Annotations of a class's
    variables leave behind that there was one, and whether it was a mark such as `ClassVar`, because these make fields.
    """
    left = _Strip().visit(statement)
    return left if isinstance(left, list) else [left] if left else []
