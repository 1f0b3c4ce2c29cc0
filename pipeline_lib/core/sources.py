"""The package's source: what its files say or, once it is frozen, what they said then, which is also what is imported.

So a job's key is computed from the very bytes that the job compiles, whatever happens to the files while it starts and works.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from importlib.util import decode_source, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType

ROOT = Path(__file__).parents[1]
_frozen: dict[Path, bytes] = {}


def _on_disk() -> dict[Path, bytes]:
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        try:
            found[path] = path.read_bytes()
        except FileNotFoundError:  # removed in between
            continue
    return found


def read(path: Path) -> str | None:
    """Give the text of a module's file, with lines that end as Python sees them; None where there is none.

    Raises:
        ValueError: it is no text.
    """
    frozen = bool(_frozen) and path.is_relative_to(ROOT)
    if path not in _frozen and (frozen or not path.is_file()):
        return None
    try:
        return decode_source(_frozen[path] if frozen else path.read_bytes())
    except (SyntaxError, UnicodeError) as error:
        raise ValueError(f"module {path} must be text, got: {error}; mend or remove it") from None


def public(folder: Path) -> list[Path]:
    """List the modules of a folder whose names do not begin with an underscore, by name."""
    here = (path for path in _frozen if path.parent == folder) if _frozen else folder.glob("*.py")
    return sorted(path for path in here if not path.name.startswith("_"))


class _Loader:
    """Compiles a module from what was frozen; neither its file nor compiled code of an earlier day is looked at."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        exec(self.get_code(module.__name__), module.__dict__)

    def get_code(self, name: str) -> CodeType:
        return compile(_frozen[self._path], str(self._path), "exec", dont_inherit=True)

    def get_source(self, name: str) -> str:  # for tracebacks
        return decode_source(_frozen[self._path])

    def get_filename(self, name: str) -> str:
        return str(self._path)


class _Finder:
    """Finds modules of the package among what was frozen, and nowhere else."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        package, *rest = name.split(".")
        if package != __name__.partition(".")[0] or not rest:
            return None
        base = ROOT.joinpath(*rest)
        for file in (base / "__init__.py", base.with_name(f"{base.name}.py")):
            if file in _frozen:
                inside = [str(base)] if file.parent == base else None
                return spec_from_file_location(name, file, loader=_Loader(file), submodule_search_locations=inside)  # type: ignore[arg-type]
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def freeze() -> None:
    """Take down the source as it is now; what is imported from here on is this, and what is read of it too.

    It is read until it stays the same, so that no half of a checkout is taken.
    """
    taken, before = _on_disk(), None
    while taken != before:
        taken, before = _on_disk(), taken
    _frozen.update(taken)
    sys.meta_path.insert(0, _Finder)
