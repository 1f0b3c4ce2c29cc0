"""Syntax in writing: the text of a definition in a form of our own, equal on every Python, and what the definition refers to.

What a name of the package stands for is written as `@` and the definition's own name, so that files and modules, aliases and ways
to import do not count; what it stands for elsewhere is written in full, such as `numpy.abs`.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pipeline_lib.planning.keys.scopes import Scope, bound, imported, loaded, parameters

# Not part of the form: facts that Python versions tell differently or that mean nothing, and what is known from elsewhere.
_OMITTED = {"ctx", "type_comment", "type_ignores", "type_params", "kind", "simple"}
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_IMPORTS = (ast.Import, ast.ImportFrom)


@dataclass(frozen=True, order=True)
class Reference:
    """A top-level definition of the package, or all of a module's (`*`)."""

    module: str
    name: str


@dataclass
class Written:
    """What was written down: text, references in order, kinds of registered functions that are asked for, and odd places."""

    text: str = ""
    references: list[Reference] = field(default_factory=list)
    kinds: set[str | None] = field(default_factory=set)
    odd: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)  # names that it imports when it runs


class Writer:
    """Writes statements of one module.

    Args:
        package: what relative imports are relative to.
        meaning: what a global name stands for, in full; None for a name that nothing defines.
        resolve: full name -> what to write, the definition, and the rest of the name.
        loaders: definitions whose first argument is a kind of registered functions.
    """

    def __init__(
        self,
        package: str,
        meaning: Callable[[str], str | None],
        resolve: Callable[[str], tuple[str, Reference | None, str]],
        loaders: frozenset[Reference],
        own: Reference,
    ) -> None:
        self._package, self._meaning, self._resolve, self._loaders, self._own = package, meaning, resolve, loaders, own
        self._scopes: list[tuple[bool, Scope]] = []  # whether it is a class's, and its names
        self._found = Written()
        self._open_loaders = 0

    def write(self, statements: Iterable[ast.stmt]) -> Written:
        """Write statements without words (`wordless`) down."""
        self._found = Written()
        self._open_loaders = 0
        self._found.text = "".join(map(self._write, statements))
        if self._open_loaders:
            self._found.kinds.add(None)
        return self._found

    @contextmanager
    def _scope(self, names: Scope, of_class: bool = False) -> Iterator[None]:
        self._scopes.append((of_class, names))
        yield
        self._scopes.pop()

    def _write(self, node: Any) -> str:
        if isinstance(node, ast.AST):
            writer = _WRITERS.get(type(node))
            return writer(self, node) if writer else self._plain(node)
        if isinstance(node, list):
            return "[" + ",".join(map(self._write, node)) + "]"
        return "-" if node is None else ascii(node)  # what is printable depends on Python's version

    def _plain(self, node: ast.AST, **instead: str) -> str:
        parts = []
        for name, value in ast.iter_fields(node):
            if name in instead:
                parts.append(f"{name}={instead[name]}")
            elif name not in _OMITTED and value is not None and value != []:
                parts.append(f"{name}={self._write(value)}")
        return f"{type(node).__name__}({','.join(parts)})"

    def _constant(self, node: ast.Constant) -> str:
        return ascii(node.value)

    def _joined(self, node: ast.JoinedStr) -> str:
        """Write an f-string as one list of texts and values, however it was put together."""
        parts: list[str] = []
        text = ""
        for each in node.values:
            if isinstance(each, ast.Constant):
                text += str(each.value)
                continue
            parts, text = [*parts, ascii(text)] if text else parts, ""
            assert isinstance(each, ast.FormattedValue)
            form = self._write(each.format_spec) if each.format_spec else ""
            how = f"!{each.conversion}" if each.conversion != -1 else ""
            parts.append(f"{{{self._write(each.value)}{how}{'' if form == 'f()' else ':' + form if form else ''}}}")
        return f"f({','.join([*parts, ascii(text)] if text else parts)})"

    def _import(self, node: ast.Import | ast.ImportFrom) -> str:
        """Leave out an import whose names are written in full where they are used."""
        names = imported(node, self._package)
        self._found.loads += loaded(node, self._package)
        star = isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names)
        known = self._scopes[-1][1] if self._scopes else {}
        if not star and self._scopes and all(known.get(name) == meaning for name, meaning in names.items()):
            return ""
        texts = [self._follow(meaning)[0] for meaning in names.values()]
        if star:
            self._odd(node, "a star import")
        return f"Import({','.join(f'{name}={text}' for name, text in zip(names, texts, strict=True))})"

    def _odd(self, node: ast.AST, what: str) -> None:
        """Note a place that cannot be followed, and fall back to all of the module that it is in."""
        self._found.odd.append(f"{self._own.module}:{getattr(node, 'lineno', 0)}: {what}")
        self._found.references.append(Reference(self._own.module, "*"))

    def _follow(self, path: str) -> tuple[str, Reference | None, str]:
        text, reference, rest = self._resolve(path)
        if reference:
            self._found.references.append(reference)
            if reference.name == "*":
                self._found.odd.append(f"{self._own.module}: {path} is no definition")
        return text, reference, rest

    def _stands_for(self, name: str) -> str | None:
        """Give the full name of a global or imported name; None of a variable, a builtin, or what nothing defines."""
        for i, (of_class, names) in enumerate(reversed(self._scopes)):
            if name in names and not (of_class and i):
                return names[name]
        return self._meaning(name)

    def _is_variable(self, name: str) -> bool:
        return any(name in names for i, (of_class, names) in enumerate(reversed(self._scopes)) if not (of_class and i))

    def _chain(self, node: ast.expr) -> tuple[ast.expr, list[str]]:
        chain: list[str] = []
        while isinstance(node, ast.Attribute):
            chain.insert(0, node.attr)
            node = node.value
        return node, chain

    def _full(self, node: ast.expr) -> str | None:
        """Give what a name, or a chain of attributes of one, stands for."""
        base, chain = self._chain(node)
        start = self._stands_for(base.id) if isinstance(base, ast.Name) else None
        return start and ".".join([start, *chain])

    def _name(self, node: ast.expr) -> str:
        """Write a name, or a chain of attributes of one."""
        full, (base, chain) = self._full(node), self._chain(node)
        if not _REVEALING.isdisjoint(chain):
            self._odd(node, ".".join(chain))
        if full is None:
            if isinstance(base, ast.Name) and not self._is_variable(base.id):
                self._check_global(base)
            return ".".join([base.id if isinstance(base, ast.Name) else self._write(base), *chain])
        text, reference, rest = self._follow(full)
        if any(f"{text}.".startswith(f"{each}.") for each in _DYNAMIC):
            self._odd(node, text)
        self._open_loaders += reference in self._loaders
        return f"{text}.{rest}" if rest else text

    def _check_global(self, node: ast.Name) -> None:
        if (
            node.id in _DYNAMIC
            or node.id in _REVEALING
            or (not hasattr(builtins, node.id) and node.id not in ("__name__", "__class__"))
        ):
            self._odd(node, node.id)

    def _call(self, node: ast.Call) -> str:
        before = self._open_loaders
        outside = _names_other(node) and self._full(node.func) == "importlib.import_module"
        function = "import" if outside else self._write(node.func)
        given, asks = list(node.args), self._open_loaders > before
        texts = [self._write(each) for each in given[:1]]
        if not asks and self._open_loaders > before:  # partial(registry.call, kind)
            given, asks = given[1:], True
        if asks and given and isinstance(given[0], ast.Constant) and isinstance(given[0].value, str):
            self._found.kinds.add(given[0].value)
            self._open_loaders = before
        texts += [self._write(each) for each in node.args[1:]]
        more = "".join(f",{keyword.arg or '**'}={self._write(keyword.value)}" for keyword in node.keywords)
        return f"{function}({','.join(texts)}{more})"

    def _function(self, node: Any) -> str:
        """Write defaults and decorators where they are evaluated, outside of the function."""
        a = node.args
        outside = "".join(self._write(part) for part in (getattr(node, "decorator_list", []), a.defaults, a.kw_defaults))
        body = node.body if isinstance(node.body, list) else [node.body]
        names = parameters(a) | {each.name: None for each in getattr(node, "type_params", [])}
        names = bound(body, self._package) | names
        kinds = [[each.arg for each in group] for group in (a.posonlyargs, a.args, a.kwonlyargs)]
        kinds += [[each.arg] if each else [] for each in (a.vararg, a.kwarg)]
        with self._scope(names):
            inside = "".join(self._write(each) for each in body)
        return f"{type(node).__name__}({getattr(node, 'name', '')},{kinds},{outside},[{inside}])"

    def _class(self, node: ast.ClassDef) -> str:
        outside = "".join(self._write(part) for part in (node.decorator_list, node.bases, node.keywords))
        with self._scope(bound(node.body, self._package), of_class=True):
            inside = "".join(self._write(each) for each in node.body)
        return f"Class({node.name},{outside},[{inside}])"

    def _comprehension(self, node: Any) -> str:
        first, names = self._write(node.generators[0].iter), bound((g.target for g in node.generators), self._package)
        with self._scope(names):
            loops = [self._plain(g, **({"iter": first} if not i else {})) for i, g in enumerate(node.generators)]
            return self._plain(node, generators=f"[{','.join(loops)}]")


def _names_other(call: ast.Call) -> bool:
    """Tell whether an import by name names a module outside of the package, in so many letters."""
    name = call.args[0].value if call.args and isinstance(call.args[0], ast.Constant) else None
    return isinstance(name, str) and name.split(".")[0] not in ("", __name__.split(".")[0])


# What leads from a thing to all of its module, or to what is left out of keys.
_REVEALING = {"__subclasses__", "__globals__", "__doc__", "__annotations__", "__code__", "__spec__", "__loader__", "__builtins__"}
# What can reach anything.
_DYNAMIC = {
    *("eval", "exec", "globals", "locals", "vars", "__import__", "__file__", "__path__"),
    *("importlib.import_module", "importlib.util.find_spec", "importlib.resources.files", "importlib.resources.path"),
    *("pkgutil.get_data", "runpy.run_module", "runpy.run_path", "sys.modules", "importlib.reload"),
    *("pkgutil.walk_packages", "pkgutil.iter_modules", "inspect.getsource", "inspect.getdoc", "inspect.getmembers"),
    *("inspect.getmodule", "typing.get_type_hints", "importlib.util.spec_from_file_location", "importlib.resources.open_text"),
}
_WRITERS: dict[type, Callable[[Writer, Any], str]] = {
    ast.Constant: Writer._constant,
    ast.JoinedStr: Writer._joined,
    ast.Name: Writer._name,
    ast.Attribute: Writer._name,
    ast.Call: Writer._call,
    ast.ClassDef: Writer._class,
    **dict.fromkeys(_IMPORTS, Writer._import),
    **dict.fromkeys((*_FUNCTIONS, ast.Lambda), Writer._function),
    **dict.fromkeys(_COMPREHENSIONS, Writer._comprehension),
}
