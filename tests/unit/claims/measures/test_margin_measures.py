"""Differences between starts, seed by seed."""

from __future__ import annotations

import itertools

import made_up
import pandas as pd
import pytest
from asking import ask, is_open, parts, value
from starts_world import Frames, runs, world

CHANGED = "k5 | shuffle(layer)"
# Differences of the first two: (-2, -1, -3) at level 1 and (-4, -4, -4) + (1, 0, -1) at level 2.
ACCURACIES = {
    ("k5", 1): (90, 90, 90), ("k5", 2): (80, 85, 90), ("k5", 3): (70, 70, 70),
    (CHANGED, 1): (88, 89, 87), (CHANGED, 2): (77, 81, 85), (CHANGED, 3): (70, 70, 70),
    ("k0", 1): (80, 80, 80), ("k0", 2): (70, 70, 70), ("k0", 3): (60, 60, 60),
}  # fmt: skip
ASKED = {"name": "margin", "start": CHANGED, "against": "k5", "from_level": 1, "to_level": 2}


@pytest.fixture(scope="module")
def frames() -> Frames:
    return world(ACCURACIES)


def test_a_margin_is_a_mean_over_levels_of_differences_seed_by_seed(frames):
    # By seed: -2.5, -2.5, -4.
    assert parts(ask(frames, **ASKED)) == (pytest.approx(-3), 3)


def test_a_margin_at_its_worst_level(frames):
    assert parts(ask(frames, **ASKED, take="highest")) == (pytest.approx(-2), 3)
    assert parts(ask(frames, **ASKED, take="lowest")) == (pytest.approx(-4), 3)


def test_one_seed_has_no_standard_error(frames):
    one = {name: frame[frame["seed"] == 0] for name, frame in frames.items()}
    assert value(one, **ASKED, least=1) == pytest.approx(-2.5)
    assert is_open(ask(one, **ASKED, least=1))


def test_a_margin_flips_with_the_accuracies(frames):
    assert value(frames, **ASKED | {"start": "k5", "against": CHANGED}) == pytest.approx(3)
    better = world(ACCURACIES | {(CHANGED, 1): (98, 99, 97)})
    assert value(better, **ASKED) == pytest.approx((8 - 4) / 2)


def test_only_seeds_that_both_have_are_compared():
    more = world(ACCURACIES | {("k5", 1): (90, 90, 90, 0), ("k5", 2): (80, 85, 90, 0)})
    assert ask(more, **ASKED) is None  # three of four seeds
    fewer = world(ACCURACIES | {(CHANGED, 2): (77, 81)})
    assert ask(fewer, **ASKED) is None
    assert ask(fewer, **ASKED, least=2) is None  # two of three


def test_no_level_may_be_missing():
    gap = {key: values for key, values in ACCURACIES.items() if key != (CHANGED, 2)}
    whole = {**ASKED, "to_level": 3}
    assert ask(world(gap), **whole) is None
    assert ask(world(gap), **ASKED) is None
    assert ask(world(gap), **ASKED | {"from_level": 2}) is None
    assert ask(world(ACCURACIES), **whole | {"to_level": 4}) is None


def test_a_seed_that_diverged_leaves_a_margin_unmeasured():
    assert ask(world(ACCURACIES | {(CHANGED, 2): (77, float("nan"), 85)}), **ASKED) is None


def test_tables_that_are_missing_or_lack_task_or_start_measure_nothing(frames):
    for name in ("runs", "changed_runs"):
        assert ask({key: frame for key, frame in frames.items() if key != name}, **ASKED) is None
        assert ask(frames | {name: frames[name].iloc[:0]}, **ASKED) is None
    assert ask({name: frame.assign(task="other") for name, frame in frames.items()}, **ASKED) is None
    assert ask(frames, **ASKED | {"start": "k5 | noise(1)"}) is None
    assert ask(frames, **ASKED | {"against": "k6"}) is None


def test_kinds_are_compared_with_each_other(frames):
    control = runs({("k5", 1): (50, 50, 50), ("k5", 2): (40, 40, 40), (CHANGED, 1): (30, 30, 30)}, "random_prune")
    both = made_up.divided({"runs": pd.concat([runs(ACCURACIES), control])})
    asked = {"name": "margin", "start": "k5", "against": "k5", "from_level": 1, "to_level": 2}
    assert value(both, **asked, other="random_prune") == pytest.approx((40 + 45) / 2)
    assert value(both, **asked, kind="random_prune") == pytest.approx(-(40 + 45) / 2)
    sparse = asked | {"start": CHANGED, "against": "k0", "to_level": 1}
    assert value(both, **sparse, kind="random_prune") == pytest.approx(-50)
    assert ask(both, **sparse, kind="reinit") is None


GROWTH = {
    "name": "margin_growth",
    "change": "noise(1)",
    "reference": "noise(2)",
    "k": 5,
    "later": 9,
    "from_level": 1,
    "to_level": 1,
}
CHANGES = {
    ("k5", 1): (90, 90, 90), ("k5 | noise(1)", 1): (80, 81, 82), ("k5 | noise(2)", 1): (70, 70, 70),
    ("k9", 1): (95, 95, 95), ("k9 | noise(1)", 1): (94, 94, 94), ("k9 | noise(2)", 1): (75, 76, 77),
}  # fmt: skip


def test_growth_is_a_difference_of_differences():
    # 10, 11, 12 at step 5 and 19, 18, 17 at step 9.
    made = world(CHANGES)
    assert parts(ask(made, **GROWTH)) == (pytest.approx(7), 3)
    # Compared with the unchanged network: -10, -9, -8 and -1.
    assert value(made, **GROWTH | {"reference": "none"}) == pytest.approx(8)
    assert value(made, **GROWTH | {"k": 9, "later": 5}) == pytest.approx(-7)
    for key in CHANGES:
        without = world({other: values for other, values in CHANGES.items() if other != key})
        assert (ask(without, **GROWTH) is None) == (key[0] not in ("k5", "k9"))


def test_the_share_of_damage_that_a_milder_change_does_not_do():
    asked = {"name": "recovered", "change": "noise(1)", "reference": "noise(2)", "k": 5, "from_level": 1, "to_level": 1}
    assert parts(ask(world(CHANGES), **asked)) == (pytest.approx(11 / 20), 3)
    assert value(world(CHANGES), **asked | {"change": "noise(2)", "reference": "noise(1)"}) == pytest.approx(-11 / 9)
    assert is_open(ask(world(CHANGES | {("k5 | noise(2)", 1): (90, 90, 90)}), **asked))  # no damage
    for key in itertools.islice(CHANGES, 3):
        assert ask(world({other: values for other, values in CHANGES.items() if other != key}), **asked) is None
