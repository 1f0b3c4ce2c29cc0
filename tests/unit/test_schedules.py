from __future__ import annotations

import pytest

from pipeline_lib.schedules import constant, step_drops


def test_constant_is_one_at_every_step():
    assert {constant()(step) for step in (0, 1, 10**6)} == {1.0}


def test_the_update_at_the_step_of_a_drop_uses_the_lower_rate():
    schedule = step_drops([3, 5])
    assert [schedule(step) for step in range(7)] == pytest.approx([1, 1, 1, 0.1, 0.1, 0.01, 0.01], rel=1e-15)


def test_the_factor_is_an_option():
    assert step_drops([1], factor=4.0)(1) == 0.25


def test_no_drops_is_constant():
    assert step_drops([])(100) == 1


def test_drops_out_of_order_are_refused():
    with pytest.raises(ValueError, match=r"drops must be in ascending order, got \[5, 3\]"):
        step_drops([5, 3])
