"""Which batches a lesson sees."""

from __future__ import annotations

from pathlib import Path

import toys

from pipeline_lib.core.rng import derive


def _orders(tmp_path: Path) -> dict[bool, set[int]]:
    starts = ["k2 | blur(2) until 4", "k0 | blur(2) for 3it"]
    raw = toys.raw_config(tmp_path, orders=[2, 3], rewind=[0, 2], levels=1, starts=starts, figures=["accuracy_by_start"])
    lessons = [node.spec for node in toys.make_plan(raw).nodes.values() if node.stage == "teach"]
    return {restart: {spec["order"] for spec in lessons if spec["restart"] == restart} for restart in (False, True)}


def test_a_phase_before_the_task_has_batches_of_its_own(tmp_path):
    """With the order of the task it saw the same images, crops and mirrorings, batch by batch."""
    found = _orders(tmp_path)
    assert found == {False: {2}, True: {-3}}
    assert derive("order", 0, 2, "epoch", 0) != derive("order", 0, -3, "epoch", 0)


def test_a_figure_of_lessons_is_told_the_reference_and_what_was_learned(tmp_path):
    asked = {"pretexts": ["blur(4, antialias=true)", "rotation(true)"], "durations": ["3it"], "reference": 2}
    raw = toys.raw_config(tmp_path, orders=1, rewind=[0, 2, 5], levels=1, pretraining=asked, figures=["pretraining"])
    (figure,) = [node for node in toys.make_plan(raw).nodes.values() if node.stage == "plot"]
    assert set(figure.spec["told"]["references"].values()) == {2}
    assert list(figure.spec["told"]["lessons"].values()) == [["blur(4, true)", "rotation(true)"]]


def test_sparse_networks_and_claims_learn_the_experiments_own_pretexts(tmp_path):
    asked = {"pretexts": ["blur(4, antialias=true)", "rotation(true)"], "durations": ["3it", "1ep"], "reference": 2}
    raw = toys.raw_config(
        tmp_path, orders=1, rewind=[0, 2], levels=1, pretraining=asked, figures=["sparse_pretraining"], claims=["A"]
    )
    plan = toys.make_plan(raw)
    sparse = {node.spec["start"] for node in plan.nodes.values() if node.stage == "train" and " mask " in node.spec["start"]}
    assert sparse == {"k2 | mask | rotation(true) for 1ep"}
    (judged,) = (node.spec for node in plan.nodes.values() if node.stage == "judge")
    ((_, roles),) = judged["roles"].items()
    assert (roles["{blur}"], roles["{rotation}"], roles["reference"]) == ("blur(4, true)", "rotation(true)", 2)
    assert (roles["{shortest}"], roles["{longest}"]) == ("3", "1ep")
