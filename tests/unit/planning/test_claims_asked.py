"""Whoever asks for claims that cannot be decided is told how many, and what they would need."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from pipeline_lib.experiments import config
from pipeline_lib.planning import claims_asked, plan
from pipeline_lib.planning.nodes import Plan


def _made(name: str, **changes: Any) -> Plan:
    raw = yaml.safe_load((config.ROOT / "config" / "experiments" / f"{name}.yaml").read_text(encoding="utf-8"))
    raw["experiments"] = {name: raw["experiments"][name] | changes}
    return plan.make_plan(config.resolve({**raw, "results": "results"}))


@pytest.fixture(scope="module")
def small() -> Plan:
    return _made("unmasking_small", claims=["C"])


def test_claims_about_roles_are_judged_on_a_task_of_ones_own_and_others_say_what_they_need(small):
    found = claims_asked.needs(small.config.experiments["unmasking_small"], small)
    assert found["late_goes_deeper", "digits_resnet"] is None
    assert found["lemma_transition_is_sharp", "-"] is None
    assert found["twelve_rounds", "resnet20"] == "task resnet20"
    (line,) = claims_asked.report(small)
    assert "need another task of the papers" in line


def test_a_grid_that_is_too_small_is_said():
    few = _made("unmasking_small", claims=["C"], seeds=2)
    found = claims_asked.needs(few.config.experiments["unmasking_small"], few)
    assert found["late_goes_deeper", "digits_resnet"] == "3 seeds"
    two = _made("unmasking_small", claims=["C"], rewind=[0, 50])
    found = claims_asked.needs(two.config.experiments["unmasking_small"], two)
    assert found["late_goes_deeper", "digits_resnet"] == "a third rewind step"


def test_without_claims_nothing_is_said(small):
    assert claims_asked.report(_made("unmasking_small", claims=[])) == []


def test_the_board_comes_with_the_claims(small):
    assert "claims_board" in small.figures["unmasking_small"]
    asked = _made("unmasking_small", claims=["C"], figures=["lemma", "claims_board"])
    assert list(asked.figures["unmasking_small"]) == ["lemma", "claims_board"]
    assert "claims_board" not in _made("unmasking_small", claims=[]).figures["unmasking_small"]
