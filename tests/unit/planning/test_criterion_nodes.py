"""Jobs that a plan adds for what a pruning criterion looks at."""

from __future__ import annotations

from typing import Any

import pytest
import toys

from pipeline_lib.core import registry
from pipeline_lib.experiments import criteria
from pipeline_lib.planning import footprint, nodes
from pipeline_lib.planning.footprint import BLOCK, Size

LOOKS_AT = {
    "magnitude": (), "random": (), "snip": ("gradients",), "taylor": ("squared_gradients",), "grasp": ("hot_hessian_gradient",),
    "synflow": ("synaptic_flow",),
}  # fmt: skip


def _plan(criterion: str, **more: Any) -> nodes.Plan:
    options = {"seeds": 1, "rewind": [0], "figures": ["accuracy_by_density"], **more}
    pruning = {"criterion": criterion} | options.pop("pruning", {})
    return toys.make_plan(toys.raw_config(pruning=pruning, **options))


def _of(made: nodes.Plan, stage: str) -> list[nodes.Node]:
    return [node for node in made.nodes.values() if node.stage == stage]


def test_what_criteria_look_at_is_read_off_their_arguments():
    assert {name: criteria.derivatives(name) for name in registry.entries("criteria")} == LOOKS_AT


@pytest.mark.parametrize("criterion", LOOKS_AT)
def test_each_mask_has_a_job_for_each_derivative_of_what_it_prunes(criterion):
    made = _plan(criterion)
    assert len(_of(made, "prune")) == 2 and len(_of(made, "score")) == 2 * len(LOOKS_AT[criterion])
    for mask in _of(made, "prune"):
        assert mask.parents.keys() - {"state", "mask"} == set(LOOKS_AT[criterion])
        for derivative in LOOKS_AT[criterion]:
            (key,) = mask.parents[derivative]
            job = made.nodes[key]
            assert {role: keys for role, keys in mask.parents.items() if role != derivative}.items() <= job.parents.items()
            assert made.nodes[job.parents["data"][0]].stage == "prepare"
            assert (job.spec["derivative"], job.spec["batch_size"], job.spec["examples"]) == (derivative, 32, 2000)
            assert dict(nodes.named_functions("score", job.spec))["derivatives"] == derivative


def test_criteria_without_derivatives_plan_as_magnitude_does():
    folders = [{(node.stage, node.label) for node in _plan(criterion).nodes.values()} for criterion in ("magnitude", "random")]
    assert folders[0] == folders[1]
    assert not any(stage == "score" for stage, _ in folders[0])


def test_the_number_of_examples_is_part_of_what_is_scored():
    few, many = _plan("snip", pruning={"examples": 64}), _plan("snip")
    assert {node.spec["examples"] for node in _of(few, "score")} == {64}
    assert not {node.key for node in _of(few, "prune")} & {node.key for node in _of(many, "prune")}
    plain = [_plan("magnitude", pruning=pruning) for pruning in ({}, {"examples": 64})]
    assert plain[0].nodes.keys() == plain[1].nodes.keys()


def test_a_start_may_prune_its_solution_once_more_by_any_criterion():
    text = "k0 | mask | prune(0.3, grasp)"
    made = _plan("magnitude", starts=[text], figures=["accuracy_by_start"])
    for job in _of(made, "score"):
        (mask,) = [node for node in _of(made, "prune") if job.key in node.parents.get("hot_hessian_gradient", ())]
        assert (mask.spec["criterion"], mask.spec["fraction"], mask.parents["state"]) == ("grasp", 0.3, job.parents["state"])
    pruned = [node for node in _of(made, "train") if node.spec["start"] == text]
    assert pruned and len(_of(made, "score")) == len(pruned)


def test_scores_take_eight_bytes_a_prunable_entry_and_seed():
    made = _plan("snip", seeds=3)
    bytes_, files = footprint.of(made, _of(made, "score"), lambda task: Size(1000, 800))
    assert (bytes_, files) == (8 * 800 * 2 * 3 + files * BLOCK, 2 * 3 * 4)


def test_what_does_not_exist_is_refused_with_what_there_is_and_where(monkeypatch):
    entry = registry.Entry("pipeline_lib.pruning.criteria.new", "new", ("weights", "gradient"), {}, {})
    real = registry.entries
    monkeypatch.setattr(registry, "entries", lambda kind: real(kind) | ({"new": entry} if kind == "criteria" else {}))
    with pytest.raises(ValueError) as error:
        _plan("new")
    assert str(error.value) == (
        "arguments of criterion new in pipeline_lib/pruning/criteria must be among gradients, hessian_gradient, "
        "hot_hessian_gradient, mask, rng, squared_gradients, synaptic_flow, weights, got gradient; rename it, or add one in "
        "pipeline_lib/analysis/derivatives"
    )


def test_pruning_at_the_start_looks_at_what_training_starts_from_and_trains_no_ancestors():
    made = _plan("snip", rewind=[2], levels=2, pruning={"at": "start"}, figures=["instability_sparse"])
    first, second = sorted(_of(made, "prune"), key=lambda node: node.spec["level"])
    assert {made.nodes[key].stage for key in (*first.parents["state"], *second.parents["state"])} == {"pretrain"}
    assert (first.parents["state"], second.parents["mask"]) == (second.parents["state"], (first.key,))
    for mask in (first, second):
        (job,) = (made.nodes[key] for key in mask.parents["gradients"])
        assert (job.parents["state"], job.parents.get("mask")) == (mask.parents["state"], mask.parents.get("mask"))
    assert {node.spec["level"] for node in _of(made, "train")} == {0, 2}  # an ancestor at level 1 has nothing to say
    assert made.asked["runs"] == sum(node.num_runs for node in _of(made, "train"))


def test_a_taught_start_is_pruned_as_it_was_taught():
    text = "k0 | blur until 3"
    made = _plan("synflow", starts=[text], levels=1, pruning={"at": "start"}, figures=["accuracy_by_start"])
    states = {made.nodes[node.parents["state"][0]].stage for node in _of(made, "prune")}
    assert states == {"pretrain", "teach"}


def test_a_ladder_that_goes_on_from_solutions_trains_them_wherever_it_prunes():
    made = _plan("magnitude", retraining=["lr_rewinding"], levels=2, pruning={"at": "start"}, figures=["retraining"])
    resumed = [node for node in _of(made, "train") if node.spec["start"] == "k0 | lr_rewinding"]
    assert {node.spec["level"] for node in resumed} == {1, 2}
    masks = {key for node in resumed for key in node.parents["mask"]}
    assert {made.nodes[made.nodes[key].parents["state"][0]].stage for key in masks} == {"pretrain"}


def test_pruning_at_the_end_is_what_is_said_by_nothing():
    assert _plan("snip", pruning={"at": "end"}).nodes.keys() == _plan("snip").nodes.keys()
    with pytest.raises(ValueError, match=r"pruning\.at must be one of end, start, got 'begin'"):
        _plan("snip", pruning={"at": "begin"})
