"""What code reaches: the definitions of the package that an entry point leads to, and their digest."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path

from pipeline_lib.core import registry, sources
from pipeline_lib.planning.keys.modules import Module, read
from pipeline_lib.planning.keys.syntax import Reference, Writer, Written


class Code:
    """A package's source.

    Args:
        root: its folder.
        carriers: modules whose text does not count; what they use does.
        loaders: functions, as `module.name`, whose first argument is a kind of registered functions.
        places: of each kind the folder, or folders, or file, of its functions.
        edits: texts to take instead of files' own, by path under the root; None for a file that is to be missing.
    """

    def __init__(
        self,
        root: Path,
        carriers: Iterable[str] = (),
        loaders: Iterable[str] = (),
        places: Mapping[str, str | tuple[str, ...]] | None = None,
        edits: Mapping[str, str | None] | None = None,
    ) -> None:
        self.root, self.name, self._edits, self._places = root, __name__.split(".")[0], dict(edits or {}), dict(places or {})
        self.carriers = frozenset(carriers)
        self._loaders = frozenset(Reference(*full.rpartition(".")[::2]) for full in loaders)
        self._texts: dict[str, str | None] = {}
        self._modules: dict[str, Module] = {}
        self._acting: dict[str, list[Reference]] = {}
        self._homes: dict[str, list[str]] = {}
        self._written: dict[Reference, Written] = {}
        self._hashes: dict[tuple[Reference, int], str] = {}

    @cached_property
    def _sources(self) -> dict[str, bytes]:
        """What all modules say, all taken down at once."""
        return sources.everything(self.root)

    @cached_property
    def _public(self) -> dict[str, list[str]]:
        """The modules of each folder whose names do not begin with an underscore, by name."""
        found: dict[str, list[str]] = {}
        for path in sorted({*self._sources, *self._edits}):
            folder, _, name = path.rpartition("/")
            if not name.startswith("_"):
                found.setdefault(folder, []).append(path)
        return found

    @cached_property
    def sources(self) -> str:
        """Hash what all modules say, to the letter: where nothing of it has changed, no digest of code has."""
        hashes = {path: hashlib.sha256(content).hexdigest() for path, content in self._sources.items()}
        return _hash("\n".join(f"{path} {digest}" for path, digest in sorted(hashes.items())))

    def _text(self, path: str) -> str | None:
        if path not in self._texts:
            known = sources.text_of(self.root / path, self._sources[path]) if path in self._sources else None
            self._texts[path] = self._edits.get(path, known)
        return self._texts[path]

    def _path(self, module: str) -> str | None:
        base = "/".join(module.split(".")[1:])
        paths = (f"{base}.py", f"{base}/__init__.py") if base else ("__init__.py",)
        return next((path for path in paths if self._text(path) is not None), None)

    def module(self, name: str) -> Module:
        """Read a module.

        Raises:
            ValueError: there is none of that name.
        """
        if name not in self._modules:
            path = self._path(name)
            if path is None:
                raise ValueError(f"module must be part of {self.name}, got {name!r}; check its name")
            package = name if path.endswith("__init__.py") else name.rpartition(".")[0]
            self._modules[name] = read(package, self._text(path) or "")
        return self._modules[name]

    def registered(self, kind: str, name: str) -> Reference:
        """Find a registered function: of a module, or of the files of a folder.

        Raises:
            ValueError: there is none.
        """
        for path in self._of(kind):
            module = self._named(path)
            if re.search(rf"\bdef\s+{name}\b", self._text(path) or "") and name in self.module(module).definitions:
                return Reference(module, name)
        raise ValueError(f"{kind} must have a function {name}, got none; check its name")

    def home(self, kind: str, name: str) -> str:
        """Find the module of a name among the files of a kind.

        Raises:
            ValueError: there is none.
        """
        path = next((path for path in self._of(kind) if path.endswith(f"/{name}.py")), None)
        if path is None:
            raise ValueError(f"{kind} must have a module {name}, got none; check its name")
        return self._named(path)

    def _named(self, path: str) -> str:
        return ".".join([self.name, *path.removesuffix(".py").split("/")])

    def _of(self, kind: str) -> list[str]:
        places = registry.folders(self._places.get(kind, kind))
        found = [path for place in places for path in ([place] if place.endswith(".py") else self._public.get(place, []))]
        return [*found, *self._plugged(kind)]

    def _plugged(self, kind: str) -> list[str]:
        return [str(path.relative_to(sources.ROOT)) for path in registry.plugged(kind)] if self.root == sources.ROOT else []

    def forget(self) -> None:
        """Read everything anew when it is asked for."""
        for known in (self._texts, self._modules, self._acting, self._homes, self._written, self._hashes):
            known.clear()
        for name in ("_sources", "_public", "sources"):
            self.__dict__.pop(name, None)

    def _resolve(self, full: str, trail: tuple[str, ...] = (), home: str = "") -> tuple[str, Reference | None, str]:
        """Find what a full name stands for: what to write, the definition, and the rest of the name.

        An import's `home` is a module, also where its package has another meaning for that name.
        """
        module, *rest = full.split(".")
        if module != self.name:
            return full, None, ""
        if home.startswith(f"{self.name}.") and self._path(home) is not None:
            module, rest = home, full.removeprefix(f"{home}.").split(".")
        while rest and full not in trail:
            found = self.module(module)
            if rest[0] in found.definitions:
                return f"@{rest[0]}", Reference(module, rest[0]), ".".join(rest[1:])
            if found.imports.get(rest[0], submodule := f"{module}.{rest[0]}") != submodule:
                meaning = found.imports[rest[0]]
                return self._resolve(".".join([meaning, *rest[1:]]), (*trail, full), meaning.rpartition(".")[0])
            if self._path(submodule) is None:
                break
            module, rest = submodule, rest[1:]
        return "@*", Reference(module, "*"), ".".join(rest)

    def definition(self, reference: Reference) -> Written:
        """Write one definition down; of `*` all that a module does when it is imported, with all of its definitions."""
        if reference not in self._written:
            self._written[reference] = self._write(reference)
        return self._written[reference]

    def _write(self, reference: Reference) -> Written:
        own = self.module(reference.module)

        def meaning(name: str) -> str | None:
            return f"{reference.module}.{name}" if name in own.definitions else own.imports.get(name)

        writer = Writer(own.package, meaning, self._resolve, self._loaders, reference)
        found = writer.write(own.without_words(reference.name))
        if reference.name == "*":
            found.references += [Reference(reference.module, name) for name in own.definitions]
            found.references += [self._resolve(star.removesuffix("._"))[1] or reference for star in own.stars]
        found.references += self._at_import(reference.module)
        found.references += [act for name in found.loads for act in self._at_import(name)]
        if reference.module in self.carriers:
            return Written(references=found.references)
        found.odd += [f"{reference.module}:{each}" for each in own.odd]
        return found

    def _at_import(self, name: str) -> list[Reference]:
        """List the modules that do more than define when a name is imported: itself, those around it, and what these import."""
        if name not in self._acting:
            todo, seen = [name], dict[str, None]()
            while todo:
                new = [module for module in self._around(todo.pop()) if module not in seen]
                seen |= dict.fromkeys(new)
                todo += [load for module in new for load in self.module(module).loads]
            self._acting[name] = [Reference(module, "*") for module in seen if self.module(module).acts]
        return self._acting[name]

    def _around(self, name: str) -> list[str]:
        """List the modules of the package that importing a full name imports: the packages around it, and itself if it is one."""
        if name not in self._homes:
            parts = name.split(".")
            around = [".".join(parts[: i + 1]) for i in range(len(parts)) if parts[0] == self.name]
            self._homes[name] = [module for module in around if self._path(module) is not None]
        return self._homes[name]

    def reach(self, roots: Iterable[Reference]) -> dict[Reference, Written]:
        """Follow definitions to all that they use of the package.

        Raises:
            ValueError: a root is no definition.
        """
        todo, found = list(roots), dict[Reference, Written]()
        for root in todo:
            if root.name not in self.module(root.module).definitions:
                raise ValueError(f"{root.module} must define {root.name}, got no such definition; check its name")
        while todo:
            reference = todo.pop()
            if reference not in found:
                found[reference] = self.definition(reference)
                todo += found[reference].references
        return found

    def digest(self, roots: Iterable[Reference], more: str = "") -> str:
        """Hash what definitions reach, each by its name and text and by what its references stand for, whatever their files.

        Args:
            roots: where to begin.
            more: what else is to count.

        Returns:
            Twelve hexadecimal digits.
        """
        roots = list(roots)
        found = [at for at in self.reach(roots) if at.module not in self.carriers]
        depth, hashes, num = 0, [self._hash(at, 0) for at in found], 0
        # Two definitions of one name are told apart by what they refer to, until no further ones are told apart.
        while len(set(hashes)) > num:
            depth, num = depth + 1, len(set(hashes))
            hashes = [self._hash(at, depth) for at in found]
        return _hash("\n".join([more, *(self._hash(root, depth) for root in roots), *sorted(set(hashes))]))[:12]

    def _hash(self, at: Reference, depth: int) -> str:
        """Hash a definition's name and text and, to a depth, what its references stand for."""
        if (at, depth) not in self._hashes:
            own = "" if at.module in self.carriers else self.definition(at).text
            refers = self.definition(at).references if depth and at.module not in self.carriers else ()
            text = "\n".join([at.name, own, *(self._hash(to, depth - 1) for to in refers)])
            self._hashes[at, depth] = _hash(text)
        return self._hashes[at, depth]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
