"""Digests of small made-up packages: what counts, and what does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline_lib.planning.keys import fingerprint as module
from pipeline_lib.planning.keys.fingerprint import code_of, fingerprint, odd_places, reached
from pipeline_lib.planning.keys.syntax import Reference

FOLDERS = ("", "core/", "stages/", "stages/states/", "store/", "training/", "training/optimisers/")
EMPTY = {f"{folder}__init__.py": "" for folder in FOLDERS}
SOURCES = EMPTY | {
    "stages/states/work.py": (
        "import numpy as np\nfrom pipeline_lib import tree as t\nfrom pipeline_lib.core import registry\n"
        "from pipeline_lib.prune import drop as lower\n"
        "from pipeline_lib.store.job import log\n\nLIMIT = 3\nUNUSED = 1\n\n\ndef run(job):\n    log.info('begun')\n"
        "    made = registry.call('optimisers', job)\n    return lower(t.lerp(np.abs(LIMIT)), made)\n\n\n"
        "def other():\n    return 5\n"
    ),
    "tree.py": (
        '"""Algebra."""\nfrom pipeline_lib.deep import BASE\n\n\ndef lerp(a: float, b: int = BASE) -> float:\n'
        '    """Mix."""\n    if a < 0:\n        rule = f"a must be above {b}"\n        raise ValueError(f"{rule}, got {a}")\n'
        "    return a + 1  # why\n\n\ndef _same(x):\n    return x\n"
    ),
    "prune.py": (
        "from __future__ import annotations\nfrom dataclasses import dataclass\nfrom typing import TYPE_CHECKING\n\n"
        "if TYPE_CHECKING:\n    from pipeline_lib.other import Strange\n\n\n"
        "def _mark(cls):\n    return cls\n\n\nclass Base:\n    def area(self):\n        return 1\n\n\n@_mark\n@dataclass\n"
        "class Kept(Base):\n    name: str\n    size: int = 3\n\n    def both(self):\n        return self.name, self.size\n\n\n"
        "def drop(x: Strange, made):\n    from pipeline_lib.late import act\n\n    return act(Kept('a').both(), _same(x))\n\n\n"
        "def _same(x):\n    return [x for x in x]\n"
    ),
    "deep.py": "BASE = 2\nTABLE = {}\nTABLE['x'] = 1\n",
    "late.py": "from pipeline_lib import deep\n\n\ndef act(x, y):\n    return deep.TABLE, x, y\n",
    "training/optimisers/both.py": "def sgd(rate):\n    return rate\n\n\ndef adam(rate):\n    return rate * 2\n",
    "other.py": "Z = 4\n\n\nclass Strange:\n    pass\n",
    "store/job.py": "import logging\n\nlog = logging.getLogger(__name__)\n",
    "core/registry.py": "def call(kind, bound):\n    return kind, bound\n",
}
NAMED = (("optimisers", "sgd"),)


def _digest(sources: dict[str, str | None]) -> str:
    return fingerprint("work", NAMED, code_of(Path("none"), sources))


def _edited(name: str, old: str, new: str) -> dict[str, str | None]:
    assert old in SOURCES[name]
    return SOURCES | {name: SOURCES[name].replace(old, new)}


def test_it_follows_names_modules_imports_in_functions_bases_decorators_and_defaults():
    found = {(at.module.removeprefix("pipeline_lib."), at.name) for at in reached("work", NAMED, code_of(Path("none"), SOURCES))}
    assert found == {
        ("stages.states.work", "run"), ("stages.states.work", "LIMIT"), ("tree", "lerp"), ("deep", "BASE"), ("prune", "drop"),
        ("prune", "Kept"), ("prune", "Base"), ("prune", "_mark"), ("prune", "_same"), ("late", "act"), ("deep", "TABLE"),
        ("training.optimisers.both", "sgd"), ("core.registry", "call"),
    }  # fmt: skip
    assert module.asked("work", (), code_of(Path("none"), SOURCES)) == ("optimisers",)
    assert odd_places("work", NAMED, code_of(Path("none"), SOURCES)) == []


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("tree.py", "# why", "# because"),
        ("tree.py", '"""Mix."""', '"""Mix two."""'),
        ("tree.py", '"""Algebra."""', ""),
        ("tree.py", "\n\n\ndef lerp", "\n\n\n\n\ndef lerp"),
        ("tree.py", "a + 1", "(a   +  1)"),
        ("tree.py", "def lerp(a: float, b: int = BASE) -> float", "def lerp(a, b: object = BASE)"),
        ("tree.py", "got {a}", "found {a!r} and {b}"),
        ("tree.py", "rule = f\"a must be above {b}\"", "rule, more = f\"a is {b}\", str(b)"),
        ("tree.py", "def _same(x):\n    return x", "def _same(x):\n    return x + 1"),
        ("stages/states/work.py", "'begun'", "'begun with %d', LIMIT"),
        ("stages/states/work.py", "    log.info('begun')\n", ""),
        ("stages/states/work.py", "UNUSED = 1", "UNUSED = 2\nUNUSED_TOO = 1"),
        ("stages/states/work.py", "return 5", "return 6"),
        ("training/optimisers/both.py", "rate * 2", "rate * 3"),
        ("prune.py", "name: str", "name: 'object'"),
        ("prune.py", "import Strange", "import Z as Strange"),
        ("other.py", "Z = 4", "Z = 5"),
        ("core/registry.py", "return kind, bound", "return bound, kind"),
        ("store/job.py", "import logging", "import logging\nimport os"),
        ("deep.py", "BASE = 2", "BASE = 2\nif __name__ == '__main__':\n    print(BASE)"),
        ("late.py", "import deep\n", "import deep\nfrom pipeline_lib.other import Z\n"),
        ("prune.py", "def drop", "def shuffle(x):\n    return x\n\n\ndef drop"),
    ],
)  # fmt: skip
def test_words_annotations_layout_and_what_is_not_reached_do_not_count(name, old, new):
    assert _digest(_edited(name, old, new)) == _digest(SOURCES)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("stages/states/work.py", "LIMIT = 3", "LIMIT = 4"),
        ("stages/states/work.py", "np.abs", "np.exp"),
        ("stages/states/work.py", "import numpy as np", "import math as np"),
        ("stages/states/work.py", "log.info('begun')", "log.info('begun', next(job))"),
        ("tree.py", "a + 1", "a + 2"),
        ("tree.py", "a < 0", "a < 1"),
        ("tree.py", "b: int = BASE", "b: int = BASE, c=0"),
        ("tree.py", "raise ValueError", "raise TypeError"),
        ("deep.py", "BASE = 2", 'BASE = "2"'),
        ("deep.py", "TABLE['x'] = 1", "TABLE['x'] = 2"),
        ("deep.py", "TABLE['x'] = 1", "TABLE['x'] = 1\nFOUND = TABLE.pop('x')"),
        ("deep.py", "TABLE['x'] = 1", "TABLE['x'] = 1\nfor name in 'ab':\n    TABLE[name] = 2"),
        ("deep.py", "BASE = 2", "try:\n    BASE = 2\nexcept ValueError:\n    BASE = 3"),
        ("tree.py", "raise ValueError(f", "raise Exception if b else ValueError(f"),
        ("tree.py", "        raise ValueError", "        b = next(a)\n        raise ValueError"),
        ("late.py", "x, y\n", "y, x\n"),
        ("prune.py", "return 1", "return 2"),
        ("prune.py", "return cls", "return None"),
        ("prune.py", "    name: str\n    size: int = 3", "    size: int = 3\n    name: str = ''"),
        ("prune.py", "size: int = 3", "size: ClassVar[int] = 3"),
        ("prune.py", "size: int = 3", "size = 3"),
        ("prune.py", "[x for x in x]", "[x for x in x if x]"),
        ("training/optimisers/both.py", "return rate\n", "return rate + 1\n"),
    ],
)
def test_any_other_edit_counts_however_far_down(name, old, new):
    assert _digest(_edited(name, old, new)) != _digest(SOURCES)


def test_a_module_may_be_renamed_split_and_joined():
    renamed = {name: text.replace("pipeline_lib import deep", "pipeline_lib import base as deep").replace("lib.deep", "lib.base")
               for name, text in SOURCES.items() if name != "deep.py"}  # fmt: skip
    assert _digest(renamed | {"base.py": SOURCES["deep.py"]}) == _digest(SOURCES)
    split = SOURCES | {"deep.py": "from pipeline_lib.base import BASE\nTABLE = {}\nTABLE['x'] = 1\n", "base.py": "BASE = 2\n"}
    assert _digest(split) == _digest(SOURCES)
    package = {name: text for name, text in SOURCES.items() if name != "deep.py"}
    package |= {"deep/__init__.py": "from .one import BASE\nfrom . import two\nTABLE = two.TABLE\n", "deep/one.py": "BASE = 2\n"}
    package |= {"deep/two.py": "TABLE = {}\nTABLE['x'] = 1\n"}
    assert odd_places("work", NAMED, code_of(Path("none"), package)) == []
    direct = package | {
        "late.py": SOURCES["late.py"]
        .replace("import deep", "import deep")
        .replace("lib import deep", "lib.deep import two as deep")
    }
    assert _digest(direct) == _digest(SOURCES)


def test_a_function_may_be_named_like_the_module_that_its_package_takes_it_from():
    package = {name: text for name, text in SOURCES.items() if name != "late.py"}
    package |= {"late/__init__.py": "from pipeline_lib.late.act import act\n", "late/act.py": SOURCES["late.py"]}
    assert Reference("pipeline_lib.late.act", "act") in reached("work", NAMED, code_of(Path("none"), package))
    assert _digest(package) == _digest(SOURCES)


def test_two_definitions_of_one_name_are_not_taken_for_each_other():
    """Where `tree` and `prune` have a helper of one name, exchanging the two changes what is done."""
    both = _edited("tree.py", "return a + 1", "return _same(a) + 1")
    swapped = both | {
        "tree.py": str(both["tree.py"]).replace("def _same(x):\n    return x\n", "def _same(x):\n    return [x for x in x]\n")
    }
    swapped |= {"prune.py": SOURCES["prune.py"].replace("[x for x in x]", "x")}
    assert _digest(both) != _digest(swapped)
    assert sorted("".join(map(str, both.values()))) == sorted("".join(map(str, swapped.values())))


@pytest.mark.parametrize(
    ("name", "old", "new", "edit"),
    [
        ("late.py", "deep.TABLE", "getattr(deep, 'BA' + 'SE')", ("deep.py", "BASE = 2", "BASE = 3")),
        ("late.py", "import deep\n", "import deep\nfrom pipeline_lib.other import *\n", ("other.py", "Z = 4", "Z = 5")),
        ("late.py", "deep.TABLE", "__file__", ("late.py", "return __file__", "return __file__, 1")),
        ("late.py", "    return", "    exec('1')\n    return", ("late.py", "\n\n\ndef", "\n\nX = 1\n\n\ndef")),
        ("late.py", "deep.TABLE", "missing", ("late.py", "\n\n\ndef", "\n\nX = 1\n\n\ndef")),
        ("late.py", "deep.TABLE", "deep.missing", ("deep.py", "BASE = 2", "BASE = 3")),
        ("late.py", "\n\n\ndef", "\nprint(1)\n\n\ndef", ("late.py", "print(1)", "print(2)")),
    ],
)  # fmt: skip
def test_what_cannot_be_followed_counts_as_a_whole_module_and_is_listed(name, old, new, edit):
    before = _edited(name, old, new)
    used = (
        before
        if name != "late.py" or "*" not in new
        else before | {name: str(before[name]).replace("deep.TABLE", "deep.TABLE, Z")}
    )
    changed = used | {edit[0]: str(used[edit[0]]).replace(edit[1], edit[2])}
    assert used != changed
    assert _digest(used) != _digest(changed)
    assert odd_places("work", NAMED, code_of(Path("none"), used))


def test_an_import_of_two_meanings_counts_with_both():
    either = "    try:\n        from pipeline_lib.fast import act\n    except ImportError:\n    "
    either += "    from pipeline_lib.late import act\n"
    used = _edited("prune.py", "    from pipeline_lib.late import act\n", either) | {"fast.py": "def act(x, y):\n    return x\n"}
    assert _digest(used) != _digest(used | {"fast.py": "def act(x, y):\n    return y\n"})
    assert _digest(used) != _digest(used | {"late.py": SOURCES["late.py"].replace("x, y\n", "y, x\n")})


def test_what_an_error_of_our_own_carries_counts_and_its_words_do_not():
    own = "class Odd(Exception):\n    pass\n\n\n" + SOURCES["late.py"].replace(
        "    return", "    raise Odd(x, f'odd {y}')\n    return"
    )
    assert _digest(SOURCES | {"late.py": own}) == _digest(SOURCES | {"late.py": own.replace("'odd {y}'", "'{y} is odd'")})
    assert _digest(SOURCES | {"late.py": own}) != _digest(SOURCES | {"late.py": own.replace("Odd(x", "Odd(y")})


def test_a_definition_of_one_name_twice_is_listed():
    assert "late:8: act is defined twice" in str(
        odd_places("work", NAMED, code_of(Path("none"), _edited("late.py", "x, y\n", "x, y\n\n\ndef act(x, y):\n    return 1\n")))
    )


@pytest.mark.parametrize(
    ("stage", "named", "words"),
    [
        ("none", (), "stages must have a module none, got none"),
        ("work", (("optimisers", "none"),), "optimisers must have a function none, got none"),
    ],
)
def test_what_there_is_not_is_refused(stage, named, words):
    with pytest.raises(ValueError, match=words):
        fingerprint(stage, named, code_of(Path("none"), SOURCES))


def test_a_kind_that_is_a_variable_is_refused():
    code = code_of(Path("none"), _edited("stages/states/work.py", "'optimisers', job", "job.kind, job"))
    with pytest.raises(ValueError, match=r"must be named by pipeline_lib\.stages\.states\.work\.run, got a variable"):
        module.asked("work", (), code)


def test_a_carrier_leads_on_to_what_it_uses_and_its_text_does_not_count():
    sources = SOURCES | {"store/job.py": "from pipeline_lib.other import Z\nlog = Z\n\n\ndef more():\n    return log\n"}
    sources["late.py"] = "from pipeline_lib.store import job\n\n\ndef act(x, y):\n    return job.more()\n"
    assert Reference("pipeline_lib.other", "Z") in reached("work", NAMED, code_of(Path("none"), sources))
    assert _digest(sources) == _digest(
        sources | {"store/job.py": str(sources["store/job.py"]).replace("return log", "return log, 1")}
    )
    assert _digest(sources) != _digest(sources | {"other.py": "Z = 5\n"})


LATE = SOURCES["late.py"]
REGISTRY = "TABLE = {}\n\n\ndef kind(name):\n    def wrap(f):\n        TABLE[name] = f\n        return f\n\n    return wrap\n\n\n"
HIDDEN: dict[str, tuple[dict[str, str], tuple[str, str, str], bool]] = {
    # what is edited, and whether it has to be listed
    "package's own module": ({"__init__.py": "import numpy\nnumpy.seterr('raise')\n"}, ("__init__.py", "raise", "warn"), True),
    "folder's own module": ({"stages/__init__.py": "print(1)\n"}, ("stages/__init__.py", "1", "2"), True),
    "module imported for what it does": (
        {"late.py": "from pipeline_lib import other\n" + LATE, "other.py": "print(1)\n"},
        ("other.py", "1", "2"),
        True,
    ),
    "module imported for what it does in a function": (
        {"late.py": LATE.replace("    return", "    import pipeline_lib.other\n    return"), "other.py": "print(1)\n"},
        ("other.py", "1", "2"),
        True,
    ),
    "module that a module imports that is imported": (
        {
            "late.py": "from pipeline_lib import other\n" + LATE,
            "other.py": "try:\n    from . import more\nfinally:\n    pass\n",
            "more.py": "print(1)\n",
        },
        ("more.py", "1", "2"),
        True,
    ),
    "result that nobody uses": ({"late.py": LATE + "\n\n_ = np.set_printoptions(1)\n"}, ("late.py", "(1)", "(2)"), True),
    "decorator that fills a table": (
        {"deep.py": "BASE = 2\n" + REGISTRY + "@kind('a')\ndef a():\n    return 1\n"},
        ("deep.py", "return 1", "return 2"),
        True,
    ),
    "decorator that registers": (
        {
            "deep.py": "from functools import singledispatch\nBASE = 2\n\n\n@singledispatch\ndef TABLE(x):\n    return x\n\n\n"
            "@TABLE.register(int)\ndef whole(x):\n    return 1\n"
        },
        ("deep.py", "return 1", "return 2"),
        False,
    ),
    "decorator that registers elsewhere": (
        {"late.py": LATE + "\n\n@deep.TABLE.register\ndef whole(x):\n    return 1\n"},
        ("late.py", "return 1", "return 2"),
        True,
    ),
    "relative import": (
        {"late.py": LATE.replace("deep.TABLE", "deep.TABLE, Z").replace("\n\n\ndef", "\nfrom .other import Z\n\n\ndef")},
        ("other.py", "Z = 4", "Z = 5"),
        False,
    ),
    "import by name": (
        {
            "late.py": LATE.replace("deep.TABLE", "im('.other', 'pipeline_lib').Z").replace(
                "\n\n\ndef", "\nfrom importlib import import_module as im\n\n\ndef"
            )
        },
        ("late.py", "    return", "    x = y\n    return"),
        True,
    ),
    "loaded modules": (
        {"late.py": LATE.replace("deep.TABLE", "sys.modules.get(x)").replace("\n\n\ndef", "\nimport sys\nX = 1\n\n\ndef")},
        ("late.py", "X = 1", "X = 2"),
        True,
    ),
    "where its file is": (
        {"late.py": LATE.replace("deep.TABLE", "__spec__.origin") + "X = 1\n"},
        ("late.py", "X = 1", "X = 2"),
        True,
    ),
    "its own words": ({"late.py": LATE.replace("deep.TABLE", "act.__doc__") + "X = 1\n"}, ("late.py", "X = 1", "X = 2"), True),
}


@pytest.mark.parametrize("name", HIDDEN)
def test_nothing_escapes(name):
    given, (path, old, new), listed = HIDDEN[name]
    sources = SOURCES | given
    assert old in sources[path]
    assert _digest(sources) != _digest(sources | {path: sources[path].replace(old, new)})
    assert bool(odd_places("work", NAMED, code_of(Path("none"), sources))) == listed
