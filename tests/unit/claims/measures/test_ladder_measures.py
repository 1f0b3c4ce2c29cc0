"""Accuracy down the ladders."""

from __future__ import annotations

from itertools import product

import pytest
from asking import ask, value
from rewinding_world import CONTROLS, STEPS, edit


def test_a_level_below_a_fifth_of_a_point_of_deviation_still_matches(frames):
    runs = frames["runs"].copy()
    runs["test_error"] += 0.005 * runs["seed"]  # seeds no longer differ
    assert value({**frames, "runs": runs}, name="at_step", of="matching_margin", kind="imp", k=10) == pytest.approx(
        89.6 - (90 - 0.2)
    )


def test_ladders_must_be_whole_and_two_levels_deeper(frames):
    smallest = {"name": "smallest_matching_density", "through": 20}
    assert ask(frames, **smallest, beyond=3) is None
    runs = frames["runs"]
    assert ask({**frames, "runs": runs[runs["level"] != 3]}, **smallest) is None
    for level, k in product((1, 4), STEPS):
        gap = {**frames, "runs": runs[(runs["level"] != level) | (runs["k"] != k)]}
        assert ask(gap, **smallest) is None
    assert value(edit(frames, "runs", "test_error", 0.9, level=1), **smallest) == pytest.approx(
        51.2
    )  # the sparsest one counts, whatever is above it
    for level in (1, 2, 3):
        frames = edit(frames, "runs", "test_error", 0.9, level=level)
    assert value(frames, **smallest) == 100


def test_imp_goes_further_on_ladders_that_are_deep_enough_to_tell(frames):
    ahead = {"name": "levels_ahead", "k": 0}
    assert ask(frames, **ahead, ahead=4) is None  # controls match at level 1, and level 4 is the last
    good = frames
    for level in (2, 3, 4):
        good = edit(good, "runs", "test_error", 0.05, kind="imp", level=level, k=0)
    assert value(good, **ahead, ahead=3) == 3
    assert value(edit(frames, "runs", "test_error", 0.05, kind="reinit", level=3, k=0), **ahead, ahead=1) == -2


def test_leads_need_both_controls_at_every_level(frames):
    runs = frames["runs"]
    for kind, level in product(CONTROLS, (3, 4)):
        without = {**frames, "runs": runs[(runs["kind"] != kind) | (runs["level"] != level)]}
        assert ask(without, name="best_k_lead", through=20, everywhere=True) is None
        assert ask(without, name="levels_ahead", k=0, ahead=1) is None


def _dense(frames, error):
    """The same test error in all dense networks."""
    return edit(frames, "runs", "test_error", error, kind="dense", level=0, noise_order=0)


def test_a_grid_needs_its_ends_and_every_level_and_value(frames):
    margin = {"name": "grid_margin", "level": 2, "take": "lowest"}
    runs = frames["runs"]
    without = {**frames, "runs": runs[~((runs["k"] == 10) & (runs["level"] == 2) & (runs["kind"] == "imp"))]}
    assert ask(without, **margin, from_k=0, to_k=20) is None
    assert ask(without, **margin, from_k=10, to_k=20) is None
    assert ask(without, **margin, from_k=20, to_k=20) is not None
    assert ask(frames, **margin, from_k=5, to_k=20) is None
    assert ask(frames, name="grid_accuracy", take="lowest", to_level=5, through=20) is None
    assert ask(frames, name="rewind_trend", take="lowest", from_level=1, to_level=5, through=20) is None
    assert ask(frames, name="late_gain_share", k=15, later=20, from_level=2, to_level=3) is None


def test_the_dense_network_is_on_the_grid_too(frames):
    best = _dense(frames, 0.01)
    assert value(best, name="grid_accuracy", take="highest", to_level=4, through=20) == pytest.approx(99)
    assert value(best, name="grid_accuracy", take="lowest", to_level=4, through=20) == pytest.approx(60)


def test_margins_over_the_grid_flip_with_the_accuracies_that_they_come_from(frames):
    margin = {"name": "grid_margin", "level": 2, "from_k": 0, "to_k": 20, "take": "lowest"}
    good = edit(frames, "runs", "test_error", 0.09, kind="imp", level=2, k=0, noise_order=0)
    assert value(good, **margin) == pytest.approx(0.1)
    assert value(_dense(frames, 0.3), **margin) == pytest.approx(80 - 70 + 0.2)
