"""Every stage is watched at work: whatever of the package it runs is in its key, or carries results alone."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections import defaultdict
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import every_stage
import pytest

import pipeline_lib
from pipeline_lib.core import registry
from pipeline_lib.planning import declared, nodes
from pipeline_lib.planning.keys import fingerprint
from pipeline_lib.planning.keys.fingerprint import CARRIERS, CODE
from pipeline_lib.store.job import Job

Ran = dict[tuple[str, fingerprint.Named], set[CodeType]]


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> Ran:
    """The code that each stage ran, by stage and registered functions; imports are done before."""
    for found in pkgutil.walk_packages(pipeline_lib.__path__, "pipeline_lib."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
    code: Ran = defaultdict(set)
    with pytest.MonkeyPatch.context() as patch:
        for stage in declared.STAGES:
            module = importlib.import_module(registry.modules("stages")[stage])
            patch.setattr(module, "run", _watched(stage, module.run, code))
        every_stage.make(every_stage.plan(tmp_path_factory.mktemp("watched")))
    return code


def _watched(stage: str, run: Any, code: Ran) -> Any:
    def watched(job: Job) -> None:
        seen: set[CodeType] = set()

        def note(frame: FrameType, event: str, _: Any) -> None:
            if event == "call":
                seen.add(frame.f_code)

        before = sys.getprofile()
        if getattr(before, "__module__", None) == __name__:  # a stage that calls another one's
            run(job)
            return
        sys.setprofile(note)
        try:
            run(job)
        finally:
            sys.setprofile(before)
        code[stage, nodes.named_functions(stage, job.spec)] |= seen

    return watched


def _definitions(module: str) -> list[tuple[range, str]]:
    """List the lines of a module's definitions, decorators included."""
    found = []
    for name, statements in CODE.module(module).definitions.items():
        for node in statements:
            first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))])
            found.append((range(first, (node.end_lineno or first) + 1), name))
    return found


def _module(code: CodeType) -> str | None:
    path = Path(code.co_filename)
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
            if module is None or module.removeprefix("pipeline_lib.") in CARRIERS or code.co_name == "<module>":
                continue
            if module.startswith("pipeline_lib.planning.") and stage in ("tabulate", "derive"):
                continue  # the driver hands them whose members an artifact has, read off the plan
            names = [name for lines, name in _definitions(module) if code.co_firstlineno in lines]
            if not any((module, name) in known for name in names):
                missing.append((stage, module, code.co_qualname))
    assert missing == []


def test_stages_run_much_of_what_they_reach(ran):
    """Else nothing would have been watched."""
    (named,) = [named for stage, named in ran if stage == "train"]
    known = {at for at in fingerprint.reached("train", named) if at.module.removeprefix("pipeline_lib.") not in CARRIERS}
    done = {(_module(code), code.co_firstlineno) for code in ran["train", named]}
    run = {at for at in known for lines, name in _definitions(at.module) if name == at.name
           if any(module == at.module and line in lines for module, line in done)}  # fmt: skip
    assert len(run) > 40
