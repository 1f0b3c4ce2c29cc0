"""The tour: its lines run as they stand in docs/tour.md, and what they say of their results is so."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import pipeline_lib

ROOT = Path(__file__).parents[2]
TOUR = (ROOT / "docs" / "tour.md").read_text(encoding="utf-8")
# A notebook shows what a line that is an expression comes to; so does this, as a list.
SHOW = """
import ast, json, sys
import pipeline_lib
early = sorted({"torch", "pandas", "numpy"} & set(sys.modules))
shown, names = [], {}
for node in ast.parse(sys.stdin.read()).body:
    if isinstance(node, ast.Expr):
        shown.append(eval(ast.unparse(node), names))
    else:
        exec(ast.unparse(node), names)
print(json.dumps([early, shown]))
"""


@pytest.fixture(scope="module")
def ran() -> list:
    blocks = re.findall(r"^```python\n(.*?)^```$", TOUR, re.MULTILINE | re.DOTALL)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PIPELINE_DEVICE": "cpu", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", "-c", SHOW]
    done = subprocess.run(
        command, input="\n".join(blocks), capture_output=True, text=True, cwd=ROOT, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_package_itself_imports_nothing_that_takes_time(ran):
    assert ran[0] == []


def test_what_the_tour_says_is_so(ran):
    at_0, at_50, (density, error), of_ticket, of_control, (trace, spread, (top,)), shares, own, *about_own = ran[1]
    assert max(at_50, of_ticket) < 0.05
    assert of_control > 0.15
    assert at_0 > 0.3
    assert density == pytest.approx(0.125, abs=0.001)
    assert error < 0.08
    assert trace > 0 < spread
    assert top is None or top > 0
    assert abs(own) < 0.05
    error, shape, (own_top,) = about_own
    assert error < 0.25
    assert shape == [3, 3]
    assert own_top > 0
    assert 0 < shares[0] < shares[1] < shares[2] < 1


def test_the_tour_is_about_twenty_lines_to_the_ticket():
    to_ticket = TOUR[: TOUR.index("**Is it the mask?**")]
    lines = [line for block in re.findall(r"```python\n(.*?)```", to_ticket, re.DOTALL) for line in block.splitlines() if line]
    assert len(lines) <= 20


def test_the_tour_lists_every_public_name():
    listed = {name for row in re.findall(r"^\| .* \|$", TOUR, re.MULTILINE) for name in re.findall(r"`(\w+)", row)}
    assert listed == set(pipeline_lib.__all__)
