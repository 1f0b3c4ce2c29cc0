from __future__ import annotations

import pytest
import torch
import toys
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from pipeline_lib.core import algebra
from pipeline_lib.core.types import State

FIRST, SECOND = (toys.scrambled(toys.norm_net(), seed) for seed in (0, 1))
EVERYTHING = [{**s.params, **s.buffers} for s in (FIRST, SECOND)]


def test_shapes_are_checked_in_tests():
    with pytest.raises(TypeCheckError, match="num_params"):
        algebra.views(torch.zeros(7, 7), FIRST.params)


def test_views_is_the_inverse_of_to_vector():
    assert toys.same(algebra.views(algebra.to_vector(FIRST.params), FIRST.params), FIRST.params)


def test_to_vector_is_the_inverse_of_views():
    vector = torch.arange(49.0)
    assert torch.equal(algebra.to_vector(algebra.views(vector, FIRST.params)), vector)


def test_to_vector_is_new_memory_in_the_order_of_the_dict():
    tensors = {"b": torch.tensor([[1.0, 2.0]]), "a": torch.tensor([3.0])}
    vector = algebra.to_vector(tensors)
    assert vector.tolist() == [1, 2, 3]
    vector.zero_()
    assert tensors["b"].tolist() == [[1, 2]]


def test_views_share_memory_both_ways():
    vector = torch.zeros(49)
    views = algebra.views(vector, FIRST.params)
    views["body.fc.bias"].fill_(2)
    assert vector.sum() == 6
    vector.fill_(5)
    assert all((view == 5).all() for view in views.values())


def test_views_refuse_a_vector_of_another_length():
    with pytest.raises(RuntimeError):
        algebra.views(torch.zeros(48), FIRST.params)


def test_lerp_is_exact_at_both_ends():
    start, end = EVERYTHING
    assert toys.same(algebra.lerp(start, end, 0.0), start)
    at_end = algebra.lerp(start, end, 1.0)
    assert all(torch.equal(at_end[n], end[n]) for n in end if end[n].is_floating_point())


@given(st.floats(0, 1))
def test_lerp_is_the_weighted_mean(weight):
    start, end = ({n: t.double() for n, t in s.params.items()} for s in (FIRST, SECOND))
    for name, tensor in algebra.lerp(start, end, weight).items():
        torch.testing.assert_close(tensor, (1 - weight) * start[name] + weight * end[name], rtol=0, atol=1e-14)


def test_lerp_takes_integer_tensors_from_the_start():
    counted = {"n": torch.tensor(3), "w": torch.zeros(2)}
    assert algebra.lerp(counted, {"n": torch.tensor(9), "w": torch.ones(2)}, 0.5)["n"] == 3


def test_distance_is_the_norm_of_the_difference():
    expected = torch.linalg.norm(algebra.to_vector(FIRST.params).double() - algebra.to_vector(SECOND.params).double())
    assert algebra.distance(FIRST.params, SECOND.params, FIRST.params) == pytest.approx(float(expected), rel=1e-12)


def test_distance_counts_the_named_tensors_only():
    zeros, other = {"a": torch.zeros(2), "b": torch.zeros(1)}, {"a": torch.tensor([3.0, 4.0]), "b": torch.ones(1)}
    assert algebra.distance(zeros, other, ["a"]) == 5


def test_distance_accumulates_in_double_precision():
    ones, zeros = {"w": torch.full((3,), 1e30)}, {"w": torch.zeros(3)}
    assert algebra.distance(ones, zeros, ones) == pytest.approx(3**0.5 * 1e30, rel=1e-6)


def test_unstack_is_the_inverse_of_stack():
    cohort = algebra.stack([FIRST, SECOND])
    assert cohort.params["stem.weight"].shape == (2, 2, 1, 3, 3)
    for member, expected in zip(algebra.unstack(cohort), (FIRST, SECOND), strict=True):
        assert toys.same_state(member, expected)


def test_states_at_different_steps_do_not_stack():
    with pytest.raises(ValueError, match=r"members must be at one step, got \[0, 4\]"):
        algebra.stack([FIRST, State(SECOND.params, SECOND.buffers, 4)])


KERNELS = [(4, 3, 3, 3), (2, 5, 1, 3), (3, 2, 2, 1)]


def _mixed_layouts() -> dict[str, torch.Tensor]:
    """Kernels with their channels innermost, among tensors that cannot have them there."""
    tensors = {f"conv{i}": torch.arange(float(torch.Size(shape).numel())).view(shape) for i, shape in enumerate(KERNELS)}
    laid = {name: tensor.contiguous(memory_format=torch.channels_last) for name, tensor in tensors.items()}
    return {"bias": torch.tensor([1.0, 2.0]), **laid, "linear": torch.arange(6.0).view(2, 3), "plain": tensors["conv0"] + 100}


def test_channels_last_is_told_from_plain_memory():
    found = {name for name, tensor in _mixed_layouts().items() if algebra.is_channels_last(tensor)}
    assert found == {"conv0", "conv1", "conv2"}


@pytest.mark.parametrize("shape", [(3, 1, 2, 2), (3, 4, 1, 1), (1, 1, 1, 1)])
def test_where_both_layouts_are_one_memory_is_plain(shape):
    assert not algebra.is_channels_last(torch.zeros(shape).contiguous(memory_format=torch.channels_last))


def test_a_vector_holds_each_tensor_in_its_own_memory_order():
    tensors = _mixed_layouts()
    pieces = algebra.to_vector(tensors).split([tensor.numel() for tensor in tensors.values()])
    for piece, tensor in zip(pieces, tensors.values(), strict=True):
        assert torch.equal(piece, torch.as_strided(tensor, (tensor.numel(),), (1,)))


def test_views_is_the_inverse_of_to_vector_in_any_layout():
    tensors = _mixed_layouts()
    views = algebra.views(algebra.to_vector(tensors), tensors)
    assert toys.same(views, tensors)
    assert [view.stride() for view in views.values()] == [tensor.stride() for tensor in tensors.values()]


def test_to_vector_is_the_inverse_of_views_in_any_layout():
    tensors = _mixed_layouts()
    vector = torch.randperm(sum(t.numel() for t in tensors.values()), generator=torch.Generator().manual_seed(0)).float()
    assert torch.equal(algebra.to_vector(algebra.views(vector, tensors)), vector)


def test_views_in_any_layout_share_the_vectors_memory():
    tensors = _mixed_layouts()
    vector = algebra.to_vector(tensors)
    views = algebra.views(vector, tensors)
    for view in views.values():
        assert view.untyped_storage().data_ptr() == vector.untyped_storage().data_ptr()
    views["conv0"][1, 2, 0, 1] = -7
    assert (vector == -7).sum() == 1
    vector.fill_(5)
    assert all((view == 5).all() for view in views.values())


@given(st.tuples(*[st.integers(1, 4)] * 4), st.booleans())
def test_views_of_any_kernel_are_inverse_and_share_memory(shape, channels_last):
    layout = torch.channels_last if channels_last else torch.contiguous_format
    tensors = {"w": torch.arange(float(torch.Size(shape).numel())).view(shape).contiguous(memory_format=layout)}
    vector = algebra.to_vector(tensors)
    view = algebra.views(vector, tensors)["w"]
    assert torch.equal(view, tensors["w"])
    assert view.is_contiguous(memory_format=layout)
    assert view.data_ptr() == vector.data_ptr()


@pytest.mark.parametrize("like", [torch.contiguous_format, torch.channels_last])
def test_flat_takes_the_order_that_is_asked_for(like):
    tensor = torch.arange(24.0).view(2, 3, 2, 2)
    (last,), (plain,) = (algebra.flat([tensor.contiguous(memory_format=like)], [wanted]) for wanted in (True, False))
    assert plain.tolist() == list(range(24))
    assert last[:4].tolist() == [0, 4, 8, 1]


def test_flat_of_a_gradient_lines_up_with_the_vector():
    tensors = _mixed_layouts()
    plain = [tensor.contiguous() for tensor in tensors.values()]
    laid = [algebra.is_channels_last(tensor) for tensor in tensors.values()]
    assert torch.equal(torch.cat(algebra.flat(plain, laid)), algebra.to_vector(tensors))


def _full_state() -> State:
    return State(FIRST.params, FIRST.buffers, 7, {"momentum_buffer": torch.arange(49.0)})


def test_a_state_moved_to_its_own_device_is_the_same():
    assert toys.same_state(algebra.moved(_full_state(), torch.device("cpu")), _full_state())


def test_moving_takes_every_tensor_along_and_leaves_the_original():
    state = _full_state()
    there = algebra.moved(state, torch.device("meta"))
    for before, after in ((state.params, there.params), (state.buffers, there.buffers), (state.slots, there.slots)):
        assert [(n, t.shape, t.dtype, t.device.type) for n, t in after.items()] == [
            (n, t.shape, t.dtype, "meta") for n, t in before.items()
        ]
        assert {t.device.type for t in before.values()} == {"cpu"}
    assert there.step == 7


def test_masking_clears_pruned_entries_to_plain_zeros_and_keeps_the_rest() -> None:
    network = toys.norm_net()
    state, mask = toys.scrambled(network), toys.random_mask(network)
    found = algebra.masked(state, mask)
    for name, tensor in state.params.items():
        keep = torch.from_numpy(mask[name]) if name in mask else torch.ones_like(tensor, dtype=torch.bool)
        assert torch.equal(found.params[name][keep], tensor[keep])
        assert not found.params[name][~keep].count_nonzero()
        assert not found.params[name][~keep].signbit().any()
    assert found.buffers is state.buffers
