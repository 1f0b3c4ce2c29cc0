"""A type checker sees that plans and stages agree on specs; where plans go by declarations, those agree with specs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest

from pipeline_lib.core import registry
from pipeline_lib.experiments.settings.keys import keys
from pipeline_lib.experiments.settings.whole import Task
from pipeline_lib.planning import named_stages
from pipeline_lib.planning.declared import STAGES
from pipeline_lib.store import specs

ROOT = Path(__file__).parents[3]
# Planned for each pair by settings of all experiments, not by options of their own.
SPELLED_OUT = {"interpolate", "follow", "layers"}
# Stages that plans know by what files declare alone, and what their specs have besides their options.
BASES: dict[str | None, set[str]] = {
    None: set(),
    "runs": {*specs.Members.__required_keys__},
    "pairs": {*specs.Pairs.__required_keys__},
    "solutions": {*specs.Solutions.__required_keys__},
}
BY_DECLARATION = {"wells", *(stage.name for stage in STAGES.values() if stage.each)} - SPELLED_OUT
SNIPPET = """
from pipeline_lib.planning import named_stages as stages
from pipeline_lib.planning.nodes import Node, Plan

def right(plan: Plan, spec: stages.rewind.Spec) -> Node:
    return plan.add(stages.rewind, "start", spec, {})

def another_stages_spec(plan: Plan, spec: stages.rewind.Spec) -> Node:
    return plan.add(stages.prune, "mask", spec, {})

def any_mapping(plan: Plan, spec: dict[str, int]) -> Node:
    return plan.add(stages.rewind, "start", spec, {})

def a_stage_by_its_name(plan: Plan, spec: stages.rewind.Spec) -> Node:
    return plan.add("rewind", "start", spec, {})
"""


class Renamed(NamedTuple):
    """A key of a spec that got another name; `optional` if a spec may lack it."""

    owner: str
    old: str
    new: str
    optional: bool


def _rename(tree: ast.Module, module: str) -> list[Renamed]:
    """Give each key of a module's typed dictionaries another name."""
    found = []
    for owner in (node for node in tree.body if isinstance(node, ast.ClassDef) and node.bases):
        optional = any(ast.unparse(each) == "total=False" for each in owner.keywords)
        for field in (node for node in owner.body if isinstance(node, ast.AnnAssign) and node.value is None):
            assert isinstance(field.target, ast.Name)
            old, field.target.id = field.target.id, f"{field.target.id}_of_{module}_{owner.name}"
            may_lack = optional or ast.unparse(field.annotation).startswith("NotRequired")
            found.append(Renamed(module, old, field.target.id, may_lack))
    return found


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Renamed], str, str]:
    """Rename all keys of all specs in a copy of the library; what mypy says then of the planner, and of the snippet."""
    copy, renamed = tmp_path_factory.mktemp("copy"), list[Renamed]()
    for path in sorted((ROOT / "pipeline_lib").rglob("*.py")):
        text, place = path.read_text(encoding="utf-8"), path.relative_to(ROOT)
        if place.match("pipeline_lib/stages/*/*.py") or place.match("pipeline_lib/store/specs.py"):
            tree = ast.parse(text)
            renamed += _rename(tree, path.stem)
            text = ast.unparse(tree)
        (copy / place).parent.mkdir(parents=True, exist_ok=True)
        (copy / place).write_text(text, encoding="utf-8")
    (copy / "pipeline_lib" / "planning" / "snippet.py").write_text(SNIPPET, encoding="utf-8")
    only_ours = ("--follow-imports", "skip", "--ignore-missing-imports", "--no-incremental")
    command = [sys.executable, "-m", "mypy", *only_ours, "-p", "pipeline_lib"]
    said = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    assert said.returncode == 1, said.stderr
    lines = [line for line in said.stdout.splitlines() if line.startswith("pipeline_lib/planning/")]
    snippet = [line for line in lines if "snippet.py" in line]
    return renamed, "\n".join(line for line in lines if line not in snippet), "\n".join(snippet)


def test_each_key_that_a_stage_reads_is_one_that_the_planner_is_seen_to_write(checked):
    renamed, planner, _ = checked
    assert {key.owner for key in renamed} >= STAGES.keys() - {"tabulate", "trace"}, "these have the keys of others"
    for key in renamed:
        if key.owner in BY_DECLARATION or (key.owner == "specs" and key.new.endswith("_Task")):
            continue
        seen = rf'(Extra keys?|has no key) .*"{key.old}"' if key.optional else f'Missing keys? .*"{key.new}"'
        assert re.search(seen, planner), key


def test_another_stages_spec_a_plain_mapping_and_a_bare_name_are_refused(checked):
    _, _, snippet = checked
    lines = dict.fromkeys(int(number) for number in re.findall(r"snippet\.py:(\d+): error", snippet))
    wrong = [i for i, line in enumerate(SNIPPET.splitlines(), 1) if "plan.add" in line]
    assert list(lines) == wrong[1:], snippet


@pytest.mark.parametrize("stage", sorted(BY_DECLARATION))
def test_a_stage_that_plans_know_by_its_file_alone_reads_what_is_planned_for_it_and_its_options(stage):
    module = import_module(registry.modules("stages")[stage])
    options = {key for option in getattr(module, "SETTINGS", {}).values() for key in option} - {"about"}
    assert module.Spec.__required_keys__ == BASES[STAGES[stage].each] | options
    assert not module.Spec.__optional_keys__


def test_a_task_has_the_keys_of_its_settings_that_decide_results_and_its_name():
    assert specs.Task.__required_keys__ == {"name", *(key.name for key in keys(Task))} - {"base", "title"}


def test_while_planning_stages_are_their_names():
    assert [str(getattr(named_stages, stage)) for stage in STAGES] == list(STAGES)
    code = (
        "import sys, pipeline_lib.planning.plan; print([m for m in sys.modules if 'pipeline_lib.stages.' in m or m == 'torch'])"
    )
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
