"""Config or code that changes during a run: later jobs refuse instead of mislabelling their result."""

from __future__ import annotations

import checkout as co
import pytest
from checkout import Checkout, Outcome

EXPECTED = "must stay as it was planned during a run"


def _refused(outcome: Outcome) -> bool:
    lines = outcome.text.strip().splitlines()
    return outcome.code == 1 and len(lines) == 1 and lines[0].startswith("error: ") and EXPECTED in lines[0]


def test_an_edited_config_is_refused(single: Checkout) -> None:
    target = single.path("artifacts/tabulate/single-runs-*")
    before = co.contents(target)
    single.edit("experiment.yaml", "alphas: 5", "alphas: 6")
    outcome = co.stage(single, target)
    assert _refused(outcome), outcome.text
    assert "experiment.yaml" in outcome.text
    assert co.contents(target) == before


def test_an_edited_task_is_refused(single: Checkout) -> None:
    single.append("config/tasks/digits_mlp.yaml", "pad: 1\n")
    outcome = co.stage(single, single.path("artifacts/tabulate/single-runs-*"))
    assert _refused(outcome), outcome.text
    assert "digits_mlp.yaml" in outcome.text


def test_files_that_describe_other_tasks_do_not_matter(single: Checkout) -> None:
    single.append("config/tasks/vgg16.yaml", "pad: 1\n")
    (single.root / "config" / "tasks" / "mine.yaml").write_text("network: [", encoding="utf-8")
    assert co.stage(single, single.path("artifacts/tabulate/single-runs-*")).code == 0
    assert co.dry(single) == {}


def test_edited_code_is_refused(single: Checkout) -> None:
    single.edit(
        "pipeline_lib/tables/tabulation.py",
        '"headroom", "headroom_share", "stable"',
        '"none", "headroom", "headroom_share", "stable"',
    )
    outcome = co.stage(single, single.path("artifacts/tabulate/single-runs-*"))
    assert _refused(outcome), outcome.text
    assert "stage tabulate" in outcome.text


def test_comments_are_accepted(single: Checkout) -> None:
    target = single.path("artifacts/tabulate/single-runs-*")
    before = co.contents(target)
    single.append("pipeline_lib/tables/tabulation.py", "\n# A comment.\n")
    single.append("experiment.yaml", "# A comment.\n")
    outcome = co.stage(single, target)
    assert (outcome.code, outcome.text) == (0, "")
    assert co.contents(target) == before


def test_code_of_other_stages_does_not_matter_to_a_job(single: Checkout) -> None:
    single.edit("pipeline_lib/training/loop.py", "CHECK_EVERY = 100", "CHECK_EVERY = 101")
    assert co.stage(single, single.path("artifacts/tabulate/single-runs-*")).code == 0


def test_a_job_that_plans_otherwise_is_refused(single: Checkout) -> None:
    outcome = co.snakemake(single, "--dry-run", "--mode", "remote", env=co.environment(REWIND_PLAN_ID="0" * 12))
    assert outcome.code == 1
    assert "config and code must stay as they were planned during a run" in outcome.text
    assert "start the run again" in outcome.text
    assert "Traceback" not in outcome.text


@pytest.mark.parametrize("what", ["stage", "node", "plan"])
def test_a_job_that_is_not_part_of_the_plan_is_refused(single: Checkout, what: str) -> None:
    folder = single.path("artifacts/tabulate/single-runs-*")
    plan, stage = single.plan_file().relative_to(single.root), "plot" if what == "stage" else "tabulate"
    name = folder.name[:-12] + "0" * 12 if what == "node" else folder.name
    plan = plan.with_name("none.jsonl") if what == "plan" else plan
    outcome = co.call(single.root, "-m", "pipeline_lib", stage, f"results/artifacts/{stage}/{name}", "--plan", str(plan))
    expected = {"stage": "made by stage tabulate, got plot", "node": "part of the plan", "plan": "plan must exist"}[what]
    assert outcome.code == 1
    assert expected in outcome.text
    assert len(outcome.text.strip().splitlines()) == 1
