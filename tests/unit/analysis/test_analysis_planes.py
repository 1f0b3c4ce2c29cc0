"""Planes against networks that are mixed by hand, and the nearest points of triangles against a search."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest
import torch
import toys
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from pipeline_lib.analysis.planes import Plane, Sums, centred, covering, grid_points, scores, through
from pipeline_lib.core.parameters import prunable
from pipeline_lib.core.types import State
from pipeline_lib.training.evaluation import chunk_size, evaluate
from pipeline_lib.training.precision import Numerics

DATA = toys.dataset(num_test=37)
COORDINATES = st.floats(-3, 3, width=32)


def biased_net() -> nn.Sequential:
    """A convolution with a bias, BatchNorm, a ReLU in place and a linear layer: 51 parameters."""
    body = OrderedDict(bn=nn.BatchNorm2d(2), relu=nn.ReLU(inplace=True), flatten=nn.Flatten(), fc=nn.Linear(8, toys.CLASSES))
    return nn.Sequential(OrderedDict(stem=nn.Conv2d(1, 2, 3), body=nn.Sequential(body)))


NETWORKS = toys.NETWORKS | {"biased": biased_net}


@pytest.fixture(params=list(NETWORKS))
def network(request):
    return NETWORKS[request.param]()


@pytest.fixture
def ragged(monkeypatch):
    """Chunks of ten, so that the last of the 37 images are a partial one."""
    for module in ("training.evaluation", "analysis.planes"):
        monkeypatch.setattr(f"pipeline_lib.{module}.chunk_size", lambda split: 10)


def _corners(network: nn.Module) -> tuple[State, State, State]:
    """Three states that differ in all tensors, biases included."""
    found = []
    for seed in range(3):
        state, generator = toys.scrambled(network, seed), torch.Generator().manual_seed(seed)
        found.append(
            State({n: t + torch.randn(t.shape, generator=generator) / 4 for n, t in state.params.items()}, state.buffers)
        )
    return found[0], found[1], found[2]


def _plane(network: nn.Module, follow: bool = True) -> Plane:
    return through(_corners(network), prunable(network), follow)


def _made_up(places: list[tuple[float, float]], follow: bool = True) -> Plane:
    """A plane whose networks do not matter."""
    return Plane((State({}), State({}), State({})), (), np.array(places, dtype=float), follow)


def _vector(state: State, names: tuple[str, ...]) -> np.ndarray:
    return np.concatenate([state.params[name].double().numpy().reshape(-1) for name in names])


def _mixed(plane: Plane, own: np.ndarray, others: np.ndarray) -> State:
    """Mix the corners tensor by tensor: `own` in prunable ones, `others` in the rest."""

    def mix(parts: list, names) -> dict[str, torch.Tensor]:
        return {
            n: sum(float(w) * p[n] for w, p in zip(own if n in plane.prunable else others, parts, strict=True))
            if parts[0][n].is_floating_point()
            else parts[0][n]
            for n in names
        }

    params, buffers = ([getattr(corner, part) for corner in plane.corners] for part in ("params", "buffers"))
    return State(mix(params, params[0]), mix(buffers, buffers[0]))


def test_coordinates_are_distances_in_weight_space(network):
    plane = _plane(network)
    vectors = [_vector(corner, plane.prunable) for corner in plane.corners]
    for i in range(3):
        for j in range(3):
            apart = np.linalg.norm(plane.places[i] - plane.places[j])
            assert apart == pytest.approx(np.linalg.norm(vectors[i] - vectors[j]), rel=1e-12, abs=1e-12)
    assert plane.places[0].tolist() == [0, 0]
    assert plane.places[1, 1] == 0
    assert plane.places[1, 0] > 0
    assert plane.places[2, 1] > 0


def test_axes_are_orthonormal_and_a_point_is_where_they_lead(network):
    """Oracle: the network at the origin plus x and y times the axes of Gram and Schmidt."""
    plane = _plane(network)
    start, *ends = (_vector(corner, plane.prunable) for corner in plane.corners)
    axes = np.linalg.qr(np.stack(ends, axis=1) - start[:, None])[0]
    axes *= np.sign(axes.T @ (ends[0] - start))[0], np.sign(axes.T @ (ends[1] - start))[1]
    np.testing.assert_allclose(axes.T @ axes, np.eye(2), atol=1e-12)
    points = np.array([(0.3, 0.2), (-1.0, 2.0), (5.0, -0.7), (0.0, 0.0)])
    weights = plane.mixture(points)
    np.testing.assert_allclose(weights.sum(1), 1)
    np.testing.assert_allclose(weights @ np.stack([start, *ends]), start + points @ axes.T, atol=1e-9)


def test_at_a_corner_the_mixture_is_that_corner_exactly(network):
    plane = _plane(network)
    np.testing.assert_array_equal(plane.mixture(plane.places), np.eye(3))
    np.testing.assert_array_equal(plane.others(plane.places), np.eye(3))


@pytest.mark.parametrize(("first", "second"), [(0, 1), (1, 1), (1, 0), (0, 0)])
def test_three_networks_on_a_line_are_refused(first, second):
    start, ends = toys.double(toys.start(toys.dense_net())), []
    for step in (first, first + second):
        ends.append(State({name: tensor + step for name, tensor in start.params.items()}))
    with pytest.raises(ValueError, match="three networks must span a plane"):
        through((start, ends[0], ends[1]), list(start.params), follow=True)


TRIANGLES = st.tuples(st.floats(0.5, 3), st.floats(-3, 3), st.floats(0.5, 3))


@given(TRIANGLES, COORDINATES, COORDINATES)
def test_the_nearest_point_of_the_triangle_is_that_of_a_search(triangle, x, y):
    length, along, height = triangle
    places = np.array([(0.0, 0.0), (length, 0.0), (along, height)])
    (found,) = _made_up(places.tolist()).others(np.array([(x, y)]))
    assert found.min() >= 0
    assert found.sum() == pytest.approx(1)
    share = np.linspace(0, 1, 61)
    second, third = (grid.reshape(-1) for grid in np.meshgrid(share, share))
    all_points = np.stack([1 - second - third, second, third], axis=1)[second + third <= 1 + 1e-9] @ places
    searched = np.linalg.norm(all_points - (x, y), axis=1).min()
    own = np.linalg.norm(found @ places - (x, y))
    coarse = 2 * (length + abs(along) + height) / 60
    assert searched - coarse <= own <= searched + 1e-9


@given(TRIANGLES, st.floats(0, 1), st.floats(0, 1))
def test_inside_the_triangle_all_tensors_have_the_same_weights(triangle, first, second):
    length, along, height = triangle
    plane = _made_up([(0, 0), (length, 0), (along, height)])
    shares = np.sort([0, first, second, 1])
    point = np.diff(shares)[None] @ plane.places
    np.testing.assert_allclose(plane.others(point), plane.mixture(point), atol=1e-12)


def test_other_tensors_stay_those_of_the_origin_if_they_do_not_follow():
    plane = _made_up([(0, 0), (1, 0), (0, 1)], follow=False)
    assert (plane.others(np.array([(0.2, 0.2), (3.0, -1.0), (0.0, 1.0)])) == (1, 0, 0)).all()


def test_a_grid_covers_the_corners_with_its_margin():
    x, y = covering(_made_up([(0, 0), (4, 0), (-2, 1)]), 7, 0.5)
    np.testing.assert_allclose((x[0], x[-1], y[0], y[-1]), (-5, 7, -0.5, 1.5))
    np.testing.assert_allclose(np.diff(x), 2)
    assert (len(x), len(y)) == (7, 7)


@pytest.mark.parametrize("num", [4, 5, 31, 51])
def test_a_centred_grid_is_a_square_around_the_origin(num):
    x, y = centred(_made_up([(0, 0), (2, 0), (3, 4)]), num, 0.5)
    assert (x == y).all()
    np.testing.assert_allclose(x, np.linspace(-7.5, 7.5, num), atol=1e-12)
    assert num % 2 == 0 or x[num // 2] == 0, "the origin itself"


def test_grid_points_go_row_by_row():
    points = grid_points(np.array([1.0, 2.0]), np.array([5.0, 6.0]))
    assert points.tolist() == [[1, 5], [2, 5], [1, 6], [2, 6]]


def _points(plane: Plane) -> np.ndarray:
    """Inside, on edges, and outside on all sides."""
    inner = np.array([(0.2, 0.3, 0.5), (0.6, 0.3, 0.1), (0.5, 0.5, 0), (0, 0.4, 0.6), (0.7, 0, 0.3)]) @ plane.places
    return np.concatenate([inner, grid_points(*covering(plane, 3, 0.5))])


@pytest.mark.parametrize("follow", [True, False])
def test_scores_are_evaluations_of_networks_mixed_by_hand(network, ragged, follow):
    plane = _plane(network, follow)
    points = _points(plane)
    weights = zip(plane.mixture(points), plane.others(points), strict=True)
    states = [_mixed(plane, own, others) for own, others in weights]
    losses = []
    for state, found in zip(states, scores(network, plane, points, DATA.test, DATA), strict=True):
        expected = evaluate(network, state, DATA.test, DATA)
        assert found.error == expected.error
        assert found.loss == pytest.approx(expected.loss, rel=1e-4)
        losses.append(found.loss)
    assert len(set(losses)) == len(losses)


@pytest.mark.parametrize("numerics", [Numerics(), Numerics("fp32", channels_last=True), Numerics("bf16")])
def test_corners_are_the_states_own_evaluations_bit_for_bit(network, ragged, numerics):
    plane = _plane(network)
    found = scores(network, plane, plane.places, DATA.test, DATA, numerics)
    assert found == [evaluate(network, corner, DATA.test, DATA, numerics) for corner in plane.corners]


def test_the_layout_in_memory_changes_nothing_but_rounding(network):
    plane = _plane(network)
    plain, last = (scores(network, plane, _points(plane), DATA.test, DATA, Numerics("fp32", flag)) for flag in (False, True))
    assert [s.loss for s in last] == pytest.approx([s.loss for s in plain], rel=1e-5)


def test_a_point_does_not_depend_on_the_others(network, ragged):
    plane = _plane(network)
    points = _points(plane)
    together = scores(network, plane, points, DATA.test, DATA)
    for i in (0, 7):
        assert scores(network, plane, points[i : i + 1], DATA.test, DATA) == together[i : i + 1]


def test_the_states_are_not_changed(network):
    plane = _plane(network)
    before = _corners(network)
    scores(network, plane, _points(plane), DATA.test, DATA)
    assert all(toys.same_state(a, b) for a, b in zip(plane.corners, before, strict=True))


@pytest.mark.parametrize("stopped", [1, 13, 14, 15, 30, 56])
def test_going_on_from_sums_comes_to_the_same_scores(network, ragged, stopped):
    """14 points in four chunks: stopped within a chunk, between two, and at the very end."""
    plane = _plane(network)
    points = _points(plane)
    kept: list[Sums] = []

    def keep(sums: Sums) -> None:
        if sums.done == stopped:
            kept.append(Sums(sums.wrong.clone(), sums.loss.clone(), sums.done, sums.size))

    whole = scores(network, plane, points, DATA.test, DATA, report=keep)
    seen: list[int] = []
    again = scores(network, plane, points, DATA.test, DATA, sums=kept[0], report=lambda sums: seen.append(sums.done))
    assert again == whole
    assert seen == list(range(stopped + 1, 4 * len(points) + 1))


def test_sums_over_chunks_of_another_size_do_not_count(network, ragged):
    plane = _plane(network)
    points = _points(plane)
    other = Sums(torch.ones(len(points)).double(), torch.ones(len(points)).double(), 17, 3)
    assert scores(network, plane, points, DATA.test, DATA, sums=other) == scores(network, plane, points, DATA.test, DATA)
    assert (other.done, other.size) == (4 * len(points), 10)
    assert other.total(len(DATA.test.y)) == other.done


def test_the_toy_split_is_one_chunk_unless_made_ragged():
    assert chunk_size(DATA.test) >= 37
