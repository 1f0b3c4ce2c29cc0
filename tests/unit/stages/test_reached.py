"""Every stage is watched at work: whatever of the package it runs is in its key, or carries results alone."""

from __future__ import annotations

from pathlib import Path

import every_stage
import pytest

from pipeline_lib.planning import declared
from pipeline_lib.planning.keys import fingerprint
from pipeline_lib.planning.keys.fingerprint import CARRIERS, CODE


@pytest.fixture(scope="module")
def ran(base: Path) -> dict[every_stage.At, set[every_stage.Code]]:
    """The code that each stage ran, by stage and registered functions."""
    return every_stage.finished(base).ran


def _definitions(module: str) -> list[tuple[range, str]]:
    """List the lines of a module's definitions, decorators included."""
    found = []
    for name, statements in CODE.module(module).definitions.items():
        for node in statements:
            first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))])
            found.append((range(first, (node.end_lineno or first) + 1), name))
    return found


def _module(code: every_stage.Code) -> str | None:
    path = Path(code.file)
    if not path.is_relative_to(CODE.root):
        return None
    return ".".join(["pipeline_lib", *path.relative_to(CODE.root).with_suffix("").parts]).removesuffix(".__init__")


def test_all_that_a_stage_runs_is_reached_or_carries(ran):
    assert {stage for stage, _ in ran} == set(declared.STAGES)
    missing = []
    for (stage, named), codes in ran.items():
        known = {(at.module, at.name) for at in fingerprint.reached(stage, named)}
        for code in codes:
            module = _module(code)
            if module is None or module.removeprefix("pipeline_lib.") in CARRIERS or code.name == "<module>":
                continue
            if module.startswith("pipeline_lib.planning.") and stage in ("tabulate", "derive"):
                continue  # the driver hands them whose members an artifact has, read off the plan
            names = [name for lines, name in _definitions(module) if code.line in lines]
            if not any((module, name) in known for name in names):
                missing.append((stage, module, code.full_name))
    assert missing == []


def test_stages_run_much_of_what_they_reach(ran):
    """Else nothing would have been watched."""
    (named,) = [named for stage, named in ran if stage == "train"]
    known = {at for at in fingerprint.reached("train", named) if at.module.removeprefix("pipeline_lib.") not in CARRIERS}
    done = {(_module(code), code.line) for code in ran["train", named]}
    run = {at for at in known for lines, name in _definitions(at.module) if name == at.name
           if any(module == at.module and line in lines for module, line in done)}  # fmt: skip
    assert len(run) > 40
