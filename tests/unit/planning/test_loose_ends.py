"""What escapes keys is told by `python -m pipeline_lib.planning.keys.loose_ends`, which `make lint` runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from pipeline_lib.core import sources
from pipeline_lib.planning.keys import loose_ends

FAULTS = {
    "networks/odd.py": (
        "import helpers\nfrom pipeline_lib.core import algebra\nfrom pipeline_lib.core.algebra import *\n"
        "from pathlib import Path\n\n\n"
        "def odd(input_shape, num_classes):\n    sizes = Path('sizes.json').read_text()\n"
        "    return helpers.build(getattr(algebra, 'le' + 'rp'), sizes)\n",
        [
            "pipeline_lib.networks.odd:1: import must be of this package or one that it requires, got helpers; move it",
            "pipeline_lib.networks.odd:3: import must name what it takes, got a star",
            "pipeline_lib.networks.odd:8: file must be read by a data set or from an artifact, got Path('sizes.json').read_text",
            "pipeline_lib.networks.odd: pipeline_lib.core.algebra is no definition: code must be followed",
        ],
    ),
    "networks/sizes.json": ("[]", ["sizes.json: package must hold modules alone, got a data file"]),
    "core/rng.py": (
        "\n\ndef more():\n    from . import algebra\n\n    return algebra\n",
        ["import must lead down, got a cycle: "],
    ),
    "core/algebra.py": (
        "\n\ndef more():\n    from . import rng\n\n    return rng\n",
        ["pipeline_lib.core.rng > pipeline_lib.core.algebra"],
    ),
    "training/evaluation.py": (
        "\n\ndef evaluate(network, state, split, dataset, numerics=None):\n    return None\n",
        ["evaluate is defined twice: code must be followed"],
    ),
}


def _lint(root: Path) -> tuple[int, list[str]]:
    command = [sys.executable, "-m", "pipeline_lib.planning.keys.loose_ends"]
    environment = os.environ | {"PYTHONPATH": str(root)}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stderr.splitlines()


def _copy(root: Path) -> None:
    shutil.copytree(sources.ROOT, root / "pipeline_lib", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(sources.ROOT.parent / "config", root / "config")
    shutil.copy(sources.ROOT.parent / "pyproject.toml", root)


def test_there_are_none():
    assert loose_ends.find() == []


def _break(root: Path, faults: dict[str, tuple[str, list[str]]]) -> None:
    for path, (text, _) in faults.items():
        with (root / "pipeline_lib" / path).open("a", encoding="utf-8") as file:
            file.write(text)
    code, lines = _lint(root)
    assert code == 1
    for line in lines:
        assert line.startswith("error: ") and " must " in line and ", got" in line and "; " in line
    for each in (words for _, told in faults.values() for words in told):
        assert any(each in line for line in lines), (each, lines)


def test_each_is_one_clear_line(tmp_path):
    _copy(tmp_path)
    _break(tmp_path, FAULTS)
    twice = "function sgd of optimisers must be defined once, got two in pipeline_lib.training.optimisers.sgd; rename one"
    _break(tmp_path, {"training/optimisers/sgd.py": ("\n\ndef sgd(vector):\n    return vector\n", [twice])})
    _break(tmp_path, {"pruning/masks.py": ("def (", ["module pipeline_lib.pruning.masks must be Python, got: invalid syntax"])})
