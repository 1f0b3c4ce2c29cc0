"""What a stage is planned for, by what its file says under `each`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import toys

from pipeline_lib.planning import declared
from pipeline_lib.planning.nodes import Node, Plan

GRID = {"levels": 2, "rewind": [0, 2], "orders": 3, "seeds": 2}
ASKED = {"similarity": {"examples": 7}, "figures": ["similarity_by_layer"]}


def _planned(monkeypatch: pytest.MonkeyPatch, each: str, asked: dict[str, Any] = ASKED) -> tuple[Plan, list[Node]]:
    monkeypatch.setitem(declared.STAGES, "similarity", replace(declared.STAGES["similarity"], each=each))
    made = toys.make_plan(toys.raw_config(**GRID, **asked))
    return made, [node for node in made.nodes.values() if node.stage == "similarity"]


def _parents(made: Plan, node: Node) -> dict[str, list[str]]:
    return {role: [parent.stage for parent in parents] for role, parents in made.parents(node).items()}


def test_pairs_are_compared_within_a_seed_and_each_once(monkeypatch):
    made, found = _planned(monkeypatch, "pairs")
    for k in (0, 2):
        pairs = [tuple(pair) for node in found if node.spec["k"] == k for pair in node.spec["pairs"]]
        assert sorted(pairs) == [(seed, i, j) for seed in (0, 1) for i, j in ((0, 1), (0, 2), (1, 2))]
    assert all(set(_parents(made, node)) == {"data", "states"} and node.spec["examples"] == 7 for node in found)


def test_runs_are_measured_each(monkeypatch):
    made, found = _planned(monkeypatch, "runs")
    members = [(node.spec["k"], *member) for node in found for member in node.spec["members"]]
    assert sorted(members) == [(k, seed, order) for k in (0, 2) for seed in (0, 1) for order in (0, 1, 2)]
    for node in found:
        assert _parents(made, node) == {"data": ["prepare"], "state": ["train"]}
        (state,) = made.parents(node)["state"]
        assert (state.spec["members"], node.spec["examples"]) == (node.spec["members"], 7)


def test_solutions_are_those_of_the_last_ladder(monkeypatch):
    made, found = _planned(monkeypatch, "solutions")
    assert sorted((node.spec["k"], node.spec["level"], *node.spec["seeds"]) for node in found) == [
        (2, level, seed) for level in (0, 1, 2) for seed in (0, 1)
    ]
    for node in found:
        mask = {"mask": ["prune"]} if node.spec["level"] else {}
        assert _parents(made, node) == {"data": ["prepare"], "state": ["train"], **mask}
        assert node.spec["examples"] == 7


@pytest.mark.parametrize("each", declared.EACH)
def test_what_the_config_does_not_ask_for_is_not_planned(monkeypatch, each):
    figures = {"figures": ["learning_curves"]}
    assert _planned(monkeypatch, each, figures)[1] == []
    assert _planned(monkeypatch, each, figures | {"similarity": {}})[1] == [], "no figure asks for it"
