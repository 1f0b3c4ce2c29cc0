"""The package's source: what its files say or, once it is frozen, what they said then, which is also what is imported.

So a job's key is computed from the very bytes that the job compiles, whatever happens to the files while it starts and works.
"""

from __future__ import annotations

import marshal
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.machinery import ModuleSpec
from importlib.util import MAGIC_NUMBER, cache_from_source, decode_source, source_hash, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType

ROOT = Path(__file__).parents[1]
PLUGINS = ROOT / "plugins"  # no folder: where files from elsewhere are modules
_frozen: dict[Path, bytes] = {}
_plugged: dict[Path, tuple[Path, bytes]] = {}  # by their place in the package, where they really are and what they say
_forget: list[Callable[[], None]] = []


def _on_disk(root: Path) -> dict[Path, bytes]:
    found = {}
    for path in sorted(root.rglob("*.py")):
        try:
            found[path] = path.read_bytes()
        except FileNotFoundError:  # removed in between
            continue
    return found


def everything(root: Path) -> dict[str, bytes]:
    """Take down what all modules of a folder say, by their path under it; plugins are among those of this package."""
    found = _frozen if _frozen and root == ROOT else _on_disk(root)
    if root == ROOT and _plugged:
        found = {**found, PLUGINS / "__init__.py": b"", **{place: content for place, (_, content) in _plugged.items()}}
    return {path.relative_to(root).as_posix(): content for path, content in found.items()}


def text_of(path: Path, content: bytes) -> str:
    """Read a module's bytes as text, with lines that end as Python sees them.

    Raises:
        ValueError: it is no text.
    """
    try:
        return decode_source(content)
    except (SyntaxError, UnicodeError) as error:
        raise ValueError(f"module {shown(path)} must be text, got: {error}; mend or remove it") from None


def read(path: Path) -> str | None:
    """Give the text of a module's file; None where there is none.

    Raises:
        ValueError: it is no text.
    """
    if path.parent == PLUGINS and _plugged:
        content = _plugged[path][1] if path in _plugged else b"" if path.name == "__init__.py" else None
    elif bool(_frozen) and path.is_relative_to(ROOT):
        content = _frozen.get(path)
    else:
        content = path.read_bytes() if path.is_file() else None
    return None if content is None else text_of(path, content)


def shown(path: Path) -> str:
    """Name a module's file as its writer knows it."""
    return str(_plugged[path][0] if path in _plugged else path)


def plugged() -> dict[Path, Path]:
    """List the plugins: their places in the package, and the files."""
    return {place: file for place, (file, _) in sorted(_plugged.items())}


def plug(files: Sequence[Path]) -> bool:
    """Let files from elsewhere be modules of `pipeline_lib.plugins`, by their names, instead of those that were before.

    Returns:
        Whether they are others, or say something else, than before.

    Raises:
        ValueError: one cannot be read, its name is none of a module, or two have one name.
    """
    taken: dict[Path, tuple[Path, bytes]] = {}
    for file in files:
        place = PLUGINS / file.name
        if file.suffix != ".py" or not file.stem.isidentifier() or file.stem.startswith("_"):
            raise ValueError(f"plugin {file} must be a module such as nets.py, got another name; rename it")
        if place in taken:
            raise ValueError(f"plugins must have different names, got {taken[place][0]} and {file}; rename one")
        try:
            taken[place] = file, file.read_bytes()
        except OSError as error:
            raise ValueError(f"plugin {file} must be readable, got: {error.strerror or error}; check its path") from None
    if taken == _plugged:
        return False
    for place in _plugged:
        sys.modules.pop(f"{_PACKAGE}.plugins.{place.stem}", None)
    sys.modules.pop(f"{_PACKAGE}.plugins", None)
    _plugged.clear()
    _plugged.update(taken)
    if _Plugins not in sys.meta_path:
        sys.meta_path.insert(0, _Plugins)
    for forget in _forget:
        forget()
    return True


def when_plugged(forget: Callable[[], None]) -> None:
    """Call a function whenever other plugins come, such as one that clears what is known of the source."""
    _forget.append(forget)


def public(folder: Path) -> list[Path]:
    """List the modules of a folder whose names do not begin with an underscore, by name."""
    here = (path for path in _frozen if path.parent == folder) if _frozen else folder.glob("*.py")
    return sorted(path for path in here if not path.name.startswith("_"))


_PACKAGE = __name__.partition(".")[0]
# Compiled code that names its source by a hash, which Python looks at before it takes it, too (PEP 552).
_HEAD = MAGIC_NUMBER + (0b11).to_bytes(4, "little")


class _Loader:
    """Compiles a module from what was taken down, whatever its file says now, or takes what was compiled of the same bytes."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        exec(self.get_code(module.__name__), module.__dict__)

    def get_code(self, name: str) -> CodeType:
        content, file, kept = self._content(), shown(self._path), Path(cache_from_source(self._path))
        head = _HEAD + source_hash(content)
        with suppress(OSError, ValueError, EOFError, TypeError):
            found = kept.read_bytes()
            if found.startswith(head) and (code := marshal.loads(found[len(head) :])).co_filename == file:
                return code
        code = compile(content, file, "exec", dont_inherit=True)
        if not sys.dont_write_bytecode and self._path not in _plugged:
            _keep(kept, head + marshal.dumps(code))
        return code

    def get_source(self, name: str) -> str:  # for tracebacks
        return decode_source(self._content())

    def _content(self) -> bytes:
        return _plugged[self._path][1] if self._path in _plugged else _frozen[self._path]

    def get_filename(self, name: str) -> str:
        return str(self._path)


def _keep(path: Path, content: bytes) -> None:
    """Write compiled code where Python looks for it, as far as that may be written."""
    private = path.with_name(f"{path.name}.{os.getpid()}")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        private.write_bytes(content)
        private.replace(path)


class _Finder:
    """Finds modules of the package among what was frozen, and nowhere else."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        package, *rest = name.split(".")
        if package != _PACKAGE or not rest:
            return None
        base = ROOT.joinpath(*rest)
        for file in (base / "__init__.py", base.with_name(f"{base.name}.py")):
            if file in _frozen:
                inside = [str(base)] if file.parent == base else None
                return spec_from_file_location(name, file, loader=_Loader(file), submodule_search_locations=inside)  # type: ignore[arg-type]
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)


class _Plugins:
    """Finds plugins, and the package that they are modules of."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name == f"{_PACKAGE}.plugins" and _plugged:
            spec = ModuleSpec(name, None, is_package=True)
            spec.submodule_search_locations = []
            return spec
        package, _, own = name.rpartition(".")
        file = PLUGINS / f"{own}.py"
        if package != f"{_PACKAGE}.plugins" or file not in _plugged:
            return None
        return spec_from_file_location(name, file, loader=_Loader(file))  # type: ignore[arg-type]


def freeze() -> None:
    """Take down the source as it is now; what is imported from here on is this, and what is read of it too.

    It is read until it stays the same, so that no half of a checkout is taken.
    """
    taken, before = _on_disk(ROOT), None
    while taken != before:
        taken, before = _on_disk(ROOT), taken
    _frozen.update(taken)
    sys.meta_path.insert(0, _Finder)
