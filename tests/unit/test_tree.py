from __future__ import annotations

import pytest
import torch
import toys
from hypothesis import given
from hypothesis import strategies as st

from pipeline_lib import tree
from pipeline_lib.types import State

FIRST, SECOND = (toys.scrambled(toys.norm_net(), seed) for seed in (0, 1))
EVERYTHING = [{**s.params, **s.buffers} for s in (FIRST, SECOND)]


def test_views_is_the_inverse_of_to_vector():
    assert toys.same(tree.views(tree.to_vector(FIRST.params), FIRST.params), FIRST.params)


def test_to_vector_is_the_inverse_of_views():
    vector = torch.arange(49.0)
    assert torch.equal(tree.to_vector(tree.views(vector, FIRST.params)), vector)


def test_to_vector_is_new_memory_in_the_order_of_the_dict():
    tensors = {"b": torch.tensor([[1.0, 2.0]]), "a": torch.tensor([3.0])}
    vector = tree.to_vector(tensors)
    assert vector.tolist() == [1, 2, 3]
    vector.zero_()
    assert tensors["b"].tolist() == [[1, 2]]


def test_views_share_memory_both_ways():
    vector = torch.zeros(49)
    views = tree.views(vector, FIRST.params)
    views["body.fc.bias"].fill_(2)
    assert vector.sum() == 6
    vector.fill_(5)
    assert all((view == 5).all() for view in views.values())


def test_views_refuse_a_vector_of_another_length():
    with pytest.raises(RuntimeError):
        tree.views(torch.zeros(48), FIRST.params)


def test_lerp_is_exact_at_both_ends():
    start, end = EVERYTHING
    assert toys.same(tree.lerp(start, end, 0.0), start)
    at_end = tree.lerp(start, end, 1.0)
    assert all(torch.equal(at_end[n], end[n]) for n in end if end[n].is_floating_point())


@given(st.floats(0, 1))
def test_lerp_is_the_weighted_mean(weight):
    start, end = ({n: t.double() for n, t in s.params.items()} for s in (FIRST, SECOND))
    for name, tensor in tree.lerp(start, end, weight).items():
        torch.testing.assert_close(tensor, (1 - weight) * start[name] + weight * end[name], rtol=0, atol=1e-14)


def test_lerp_takes_integer_tensors_from_the_start():
    counted = {"n": torch.tensor(3), "w": torch.zeros(2)}
    assert tree.lerp(counted, {"n": torch.tensor(9), "w": torch.ones(2)}, 0.5)["n"] == 3


def test_distance_is_the_norm_of_the_difference():
    expected = torch.linalg.norm(tree.to_vector(FIRST.params).double() - tree.to_vector(SECOND.params).double())
    assert tree.distance(FIRST.params, SECOND.params, FIRST.params) == pytest.approx(float(expected), rel=1e-12)


def test_distance_counts_the_named_tensors_only():
    zeros, other = {"a": torch.zeros(2), "b": torch.zeros(1)}, {"a": torch.tensor([3.0, 4.0]), "b": torch.ones(1)}
    assert tree.distance(zeros, other, ["a"]) == 5


def test_distance_accumulates_in_double_precision():
    ones, zeros = {"w": torch.full((3,), 1e30)}, {"w": torch.zeros(3)}
    assert tree.distance(ones, zeros, ones) == pytest.approx(3**0.5 * 1e30, rel=1e-6)


def test_unstack_is_the_inverse_of_stack():
    cohort = tree.stack([FIRST, SECOND])
    assert cohort.params["stem.weight"].shape == (2, 2, 1, 3, 3)
    for member, expected in zip(tree.unstack(cohort), (FIRST, SECOND), strict=True):
        assert toys.same_state(member, expected)


def test_states_at_different_steps_do_not_stack():
    with pytest.raises(ValueError, match=r"members must be at one step, got \[0, 4\]"):
        tree.stack([FIRST, State(SECOND.params, SECOND.buffers, 4)])
