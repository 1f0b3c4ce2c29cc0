from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_lib.core import registry
from pipeline_lib.pruning.ratios.adaptive import Tried, adaptive

TENTHS = [n / 10 for n in range(1, 10)]
BATCHES, EXAMPLES = np.array([0.3, 0.5]), np.array([0.0, 2.0, 1.0, 1.0])  # deviation 0.1, mean 1
SUPPLIED = ("dense_batches", "dense_examples", "highest_loss", "floor")


def _adaptive(highest_loss: Callable[[float], float], floor: float = 0.2, **options: object) -> list[Tried]:
    return adaptive(BATCHES, EXAMPLES, highest_loss, floor, **options)


def _chosen(tried: list[Tried]) -> float:
    (one,) = [each.fraction for each in tried if each.chosen]
    return one


@given(st.lists(st.floats(0.9, 1.3), min_size=9, max_size=9), st.sampled_from([0.05, 0.1, 0.2, 0.25, 0.95]))
def test_the_largest_ratio_before_the_first_that_goes_beyond_is_taken_but_never_less_than_the_floor(losses, floor):
    known, asked = dict(zip(TENTHS, losses, strict=True)), []

    def highest_loss(fraction: float) -> float:
        asked.append(fraction)
        return known.get(fraction, 7.0)

    tried = _adaptive(highest_loss, floor)
    good = [loss <= 1.1 for loss in losses]
    num_good = good.index(False) if False in good else 9
    best = max(floor, num_good / 10)
    assert _chosen(tried) == best
    expected = {*TENTHS[: num_good + 1], best}
    assert [each.fraction for each in tried] == sorted(expected) == sorted(asked)
    assert all(each.highest_loss == known.get(each.fraction, 7.0) for each in tried)
    assert {each.threshold for each in tried} == {1.1}


def test_the_floor_is_tried_even_where_the_first_ratio_goes_beyond():
    tried = _adaptive(lambda fraction: 1 + 10 * fraction)
    assert tried == [Tried(0.1, 2.0, 1.1, False), Tried(0.2, 3.0, 1.1, True)]


def test_a_loss_at_the_threshold_is_within():
    assert _chosen(_adaptive(lambda fraction: 1.1 if fraction <= 0.4 else 1.2)) == 0.4


def test_a_loss_that_is_no_number_is_beyond():
    tried = _adaptive(lambda fraction: 1.0 if fraction <= 0.3 else math.nan)
    assert [each.fraction for each in tried] == [0.1, 0.2, 0.3, 0.4]
    assert _chosen(tried) == 0.3


def test_two_standard_errors_of_the_mean_shrink_with_the_number_of_examples():
    def threshold(repeats: int) -> float:
        many = np.tile(EXAMPLES, repeats)
        return adaptive(BATCHES, many, lambda fraction: 9.0, 0.2, threshold="sample")[0].threshold

    assert threshold(1) == pytest.approx(1 + 2 * (2 / 3 / 4) ** 0.5)
    assert threshold(100) == pytest.approx(1 + 2 * (200 / 399 / 400) ** 0.5)


def test_a_rule_is_named_and_bound_like_any_entry():
    bound = registry.bind("ratios", {"name": "adaptive"}, SUPPLIED, "start")
    assert bound == {"name": "adaptive", "examples": 10000, "threshold": "batch"}
    assert set(registry.entries("ratios")) == {"adaptive"}
    with pytest.raises(ValueError, match="threshold of start adaptive must be one of batch, sample, got 'samples'; did you mean"):
        registry.bind("ratios", {"name": "adaptive", "threshold": "samples"}, SUPPLIED, "start")
