"""What a job imports is what was taken down at its start, also where compiled code of an earlier day lies about."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import cache_from_source
from pathlib import Path

import pytest

from pipeline_lib.core import sources
from pipeline_lib.planning.keys.fingerprint import code_of

ASK = "from pipeline_lib.core import sources; sources.freeze(); from pipeline_lib import said; print(said.WORD)"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package of this one's name, with its loader and a module that says something."""
    root = tmp_path / "pipeline_lib"
    (root / "core").mkdir(parents=True)
    for name in ("__init__.py", "core/__init__.py"):
        (root / name).touch()
    shutil.copy(sources.__file__, root / "core")
    (root / "said.py").write_text("WORD = 'one'\n")
    return root


def _asked(package: Path, **environment: str) -> str:
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", ASK]
    done = subprocess.run(command, cwd=package.parent, env=inherited | environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _other(path: Path, text: str) -> None:
    """Write a module anew, of the same length and at the same time, as far as its facts tell."""
    facts = path.stat()
    path.write_text(text)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def test_compiled_code_is_taken_where_it_is_of_the_same_bytes_alone(package):
    module, kept = package / "said.py", Path(cache_from_source(str(package / "said.py")))
    assert _asked(package) == "one"
    first = kept.read_bytes()
    kept.write_bytes(first.replace(b"one", b"eno"))
    assert _asked(package) == "eno", "it is read"
    _other(module, "WORD = 'two'\n")
    assert _asked(package) == "two"
    assert kept.read_bytes() != first
    _other(module, "WORD = 'one'\n")
    assert _asked(package) == "one"
    assert kept.read_bytes() == first


@pytest.mark.parametrize("damage", [b"", b"x", None])
def test_damaged_compiled_code_is_made_anew(package, damage):
    kept = Path(cache_from_source(str(package / "said.py")))
    assert _asked(package) == "one"
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-5] if damage is None else damage)
    assert _asked(package) == "one"
    assert kept.read_bytes() == whole


def test_code_that_python_compiled_by_time_is_not_taken(package):
    subprocess.run([sys.executable, "-c", "import pipeline_lib.said"], cwd=package.parent, check=True)
    _other(package / "said.py", "WORD = 'two'\n")
    assert _asked(package) == "two"


def test_compiled_code_of_a_copied_package_names_the_copy(package, tmp_path):
    assert _asked(package) == "one"
    shutil.copytree(package, tmp_path / "copy" / "pipeline_lib")
    (tmp_path / "copy" / "pipeline_lib" / "said.py").write_text("raise ValueError('here')\n")
    assert _asked(package) == "one"
    with pytest.raises(subprocess.CalledProcessError) as failed:
        _asked(tmp_path / "copy" / "pipeline_lib")
    assert str(tmp_path / "copy" / "pipeline_lib" / "said.py") in failed.value.stderr


def test_nothing_is_kept_where_python_keeps_nothing(package):
    assert _asked(package, PYTHONDONTWRITEBYTECODE="1") == "one"
    assert not Path(cache_from_source(str(package / "said.py"))).exists()


def test_one_hash_stands_for_what_all_modules_say(package):
    before = code_of(package).sources
    assert code_of(package).sources == before
    _other(package / "said.py", "WORD = 'two'\n")
    changed = code_of(package).sources
    (package / "said.py").rename(package / "told.py")
    assert len({before, changed, code_of(package).sources}) == 3
