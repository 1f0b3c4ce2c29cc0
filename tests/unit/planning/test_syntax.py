"""The canonical form of syntax: the same on every Python that is here, and as it was when the stored digest was taken."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from pipeline_lib.planning import declared
from pipeline_lib.planning.keys.fingerprint import CODE, code_of, fingerprint

FORMS = {
    "__init__.py": "",
    "stages/__init__.py": "",
    "stages/states/__init__.py": "",
    "stages/states/forms.py": '''
from __future__ import annotations
import re
from functools import partial
X: int = 0x1F
Y, (Z, *W) = 1, (2.50, 3j, "ü\\u200b", b"\\x00")
PATTERN = re.compile(r"\\d+" "more")

class Base(dict, metaclass=type):
    a: int
    b: str = f"{X:>{Y}} {Z!r} {W=}" "tail" f"{X:}"

    async def go(self, x, /, y=1, *rest, z, w=None, **more):
        global X
        async with x as (p, q):
            yield [i async for i in y if i], {k: v for k, v in more.items()}, {*rest}
        X += 1

def run(job):
    """Words."""
    total: float
    total = 0
    while (n := next(job)) and not total < n <= 5 != 3:
        match n:
            case {"a": [1, *_], **others} | Base(a=others): total -= -n ** 2
            case None | "x" | 1.5: continue
            case _ as what if what: break
    else:
        del job.x[1:2, ..., ::3]
    try:
        assert total, "words"
    except (ValueError, TypeError) as error:
        raise RuntimeError(f"no {error}") from error
    else:
        pass
    finally:
        total @= lambda a, *b, c=1: (yield)
    nested = [[a for a in b] for b in [1_000, 0o17, True, None]]
    def inner():
        nonlocal total
        total = 1 if X else 2
        return f"{total!s:{X}.{Y}}" f'{nested}' "{}"
    return inner, PATTERN, Base, W, partial(run, *nested, **{"k": total})
''',
}
STORED = "c2942ed5f4bf"
SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from pipeline_lib.core import registry
from pipeline_lib.planning.keys import fingerprint as f
exec(sys.stdin.read())
print(f.fingerprint("forms", (), f.code_of(Path("none"), FORMS)))
for stage in registry.modules("stages"):
    named = tuple((kind, name) for kind in f.asked(stage) for name in NAMES[kind])
    print(stage, f.fingerprint(stage, named), f.odd_places(stage, named))
"""


def _pythons() -> dict[str, str]:
    """Find the Pythons that are there, by version."""
    names = [shutil.which(f"python3.{minor}") for minor in range(11, 16)]
    names += map(str, sorted((Path.home() / ".pyenv" / "versions").glob("3.*/bin/python")))
    found = {}
    for name in [*filter(None, names), sys.executable]:
        done = subprocess.run(
            [name, "-c", "import sys; print(sys.version_info[:2])"], capture_output=True, text=True, check=False
        )
        if done.returncode == 0 and eval(done.stdout) >= (3, 11):
            found[done.stdout] = name
    return found


def _in_another(python: str, **environment: str) -> list[str]:
    from pipeline_lib.core import registry
    from pipeline_lib.planning import nodes

    names = {kind: sorted(registry.entries(kind)) for kind in nodes._NAMES}
    given = f"FORMS = {FORMS!r}\nNAMES = {names!r}"
    command = [python, "-I", "-c", SCRIPT, str(CODE.root.parent)]
    done = subprocess.run(command, input=given, env=os.environ | environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_every_python_and_process_says_the_same():
    found = {version: _in_another(name) for version, name in _pythons().items()}
    assert len(found) >= 1
    assert len(set(map(tuple, found.values()))) == 1, found
    (own, *stages) = _in_another(sys.executable, PYTHONHASHSEED="7")
    assert next(iter(found.values())) == [own, *stages]
    assert own == STORED == fingerprint("forms", (), code_of(Path("none"), FORMS)), "the form of syntax has changed: raise FORMAT"
    assert len(stages) == len(declared.STAGES)
    assert all(line.endswith(" []") for line in stages), "places that cannot be followed"
