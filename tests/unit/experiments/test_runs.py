from __future__ import annotations

import random

import toys

from pipeline_lib.experiments import config, starts
from pipeline_lib.experiments.runs import Run, rung

E = config.resolve(toys.raw_config(levels=2, orders=[4, 5])).experiments["tiny"].grids["toy"]


def _run(text: str, level: int = 1, order: int = 4, kind: str = "imp") -> Run:
    return Run(kind, starts.parse(text, E.task).at(level), level, order)


def test_equal_starts_in_other_words_are_one_run():
    assert len({_run("k2 | noise(0.50)"), _run("k2it|noise(0.5)"), _run("k2 | noise(0.5)")}) == 1
    assert _run("k2 | noise(0.5)") != _run("k2 | noise(1)")


def test_strategies_make_no_other_dense_network():
    assert _run("k2 | lr_rewinding", 0) == _run("k2", 0)
    assert _run("k2 | lr_rewinding", 1) != _run("k2", 1)


def test_plans_list_runs_by_kind_step_level_and_order_and_unchanged_ones_first():
    listed = [
        _run("k2"),
        _run("k2 | noise(1)"),
        _run("k2", order=5),
        _run("k2", 2),
        _run("k3", 0),
        _run("k2", 0, kind="reinit"),
    ]
    shuffled = random.Random(0).sample(listed, len(listed))
    assert sorted(shuffled) == listed


def test_the_rungs_of_a_run_are_of_the_start_that_its_ladder_has():
    assert rung(E, _run("k2 | lr_rewinding | mask | noise(1)", 2, 5), 1) == _run("k2 | lr_rewinding", 1)
    assert rung(E, _run("k2 | noise(1)", 2, 5, "reinit"), 0) == _run("k2", 0)
