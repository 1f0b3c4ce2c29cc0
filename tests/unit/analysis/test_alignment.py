"""Matching: against brute force, against networks whose permutation is known, and never worse than no permutation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
import toys

from pipeline_lib.analysis import alignment
from pipeline_lib.analysis.paths import paths, summarise
from pipeline_lib.core import permutations, registry
from pipeline_lib.core.rng import numpy_generator
from pipeline_lib.core.types import State
from pipeline_lib.training.precision import Numerics

SHAPE = (1, 8, 8)
NETWORKS = {
    "mlp": {"name": "mlp", "widths": [12, 9, 7]},
    "resnet": {"name": "resnet_cifar", "blocks": 1, "width": 4},
    "small": {"name": "mlp", "widths": [5]},
    "deeper": {"name": "resnet_cifar", "blocks": 2, "width": 3},
}
HOW = ("weights", "activations")


def _made(name: str):
    said = NETWORKS[name]
    return [registry.call(k, said, input_shape=SHAPE, num_classes=toys.CLASSES) for k in ("networks", "symmetries")]


def _match(how: str, network, first: State, second: State, axes, starts: int = 8) -> alignment.Match:
    if how == "weights":
        return alignment.match_weights(first, second, axes, starts)
    data = toys.dataset(60, shape=SHAPE)
    return alignment.match_activations(network, first, second, axes, data.train, data, Numerics())


def _state(network, seed: int = 0) -> State:
    """A state whose units differ in all that they have, and none of which is silent."""
    scrambled = toys.scrambled(network, seed)
    return State(scrambled.params, {n: t - 1 if n.endswith("mean") else t for n, t in scrambled.buffers.items()})


def _all(state: State):
    return {**state.params, **state.buffers}


def test_an_assignment_is_the_best_of_all():
    gains = numpy_generator("gains").normal(size=(6, 6))
    best = max(itertools.permutations(range(6)), key=lambda order: sum(gains[i, j] for i, j in enumerate(order)))
    assert tuple(alignment.assign(gains)) == best


def test_a_layers_permutation_is_the_nearest_of_all():
    network, axes = _made("small")
    first, second = toys.start(network, 0), toys.start(network, 1)

    def apart(order: tuple[int, ...]) -> float:
        there = permutations.permuted(second.params, axes, {"fc1": np.array(order)})
        return sum(float((each - there[name]).double().square().sum()) for name, each in first.params.items())

    nearest = min(itertools.permutations(range(5)), key=apart)
    assert tuple(alignment.match_weights(first, second, axes, 1).moves["fc1"]) == nearest


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("density", [1.0, 0.05])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_found_in_its_own_permutation(name, density, how):
    network, axes = _made(name)
    state = toys.masked(_state(network), toys.random_mask(network, density=density))
    drawn = permutations.drawn(permutations.sizes(axes, _all(state)), numpy_generator("own", name))
    other = permutations.permuted_state(state, axes, drawn)
    found = _match(how, network, state, other, axes)
    back = permutations.permuted_state(other, axes, found.moves)
    assert toys.same_state(back, state)
    if density == 1:
        assert found.after == pytest.approx(1, abs=1e-9)
    assert found.after == pytest.approx(_match(how, network, state, state, axes).before, abs=1e-9)
    assert found.after > found.before
    data = toys.dataset(shape=SHAPE)
    line = paths(network, [state, back], [(0, 1)], [0.0, 0.5, 1.0], data.test, data)[0, 1]
    assert summarise([0.0, 0.5, 1.0], line, 3).loss_barrier == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("name", NETWORKS)
def test_no_permutation_is_worse_than_none_and_a_network_is_itself(name, how):
    network, axes = _made(name)
    for seed in range(3):
        one, other = _state(network, 2 * seed), _state(network, 2 * seed + 1)
        found = _match(how, network, one, other, axes, starts=2)
        assert -1 <= found.before < found.after <= 1
        again = _match(how, network, one, permutations.permuted_state(other, axes, found.moves), axes, starts=1)
        assert again.before == pytest.approx(found.after, abs=1e-6)
    itself = _match(how, network, one, one, axes, starts=2)
    assert (itself.moved, itself.before) == (0, pytest.approx(1, abs=1e-6))


def test_more_starts_are_never_worse_and_each_is_one_by_its_name():
    network, axes = _made("deeper")
    one, other = toys.start(network, 3), toys.start(network, 4)
    values = [alignment.match_weights(one, other, axes, starts).after for starts in (1, 3, 9)]
    assert values == sorted(values)
    first, again = (alignment.match_weights(one, other, axes, 3, ("pair", 1)) for _ in range(2))
    assert all(np.array_equal(each, again.moves[group]) for group, each in first.moves.items())


def test_masks_travel_with_the_weights():
    network, axes = _made("resnet")
    state, mask = toys.scrambled(network), toys.random_mask(network)
    moves = permutations.drawn(permutations.sizes(axes, _all(state)), numpy_generator("masks"))
    masked_first = permutations.permuted_state(toys.masked(state, mask), axes, moves)
    masked_last = toys.masked(permutations.permuted_state(state, axes, moves), permutations.permuted_mask(mask, axes, moves))
    assert toys.same_state(masked_first, masked_last)
    assert not toys.same_state(masked_first, toys.masked(permutations.permuted_state(state, axes, moves), mask))


def test_correlations_are_numpys_and_a_silent_unit_has_none():
    rng, moments = numpy_generator("moments"), alignment._Moments()
    one, two = rng.normal(size=(4, 30)), rng.normal(size=(4, 30))
    one[2] = 1.5
    for part in (slice(0, 11), slice(11, 30)):
        moments.add(torch.from_numpy(one[:, part]), torch.from_numpy(two[:, part]))
    found, apart = moments.correlations()
    assert not found[2].any()
    assert not apart.any()
    kept = [0, 1, 3]
    np.testing.assert_allclose(found[kept], np.corrcoef(one[kept], two)[:3, 3:], atol=1e-12)


def test_constant_units_correlate_with_none_however_they_are_rounded_and_are_told_apart_by_their_values():
    moments = alignment._Moments()
    values = torch.tensor([0.1, 0.7, 0.45, -1e-7, 0.0], dtype=torch.float64)
    for num in (*(130,) * 7, 90):
        moments.add(*[values[:, None].expand(5, 64 * num).clone()] * 2)
    found, apart = moments.correlations()
    assert not found.any()
    assert not np.diag(apart).any()
    assert apart[0, 1] == pytest.approx(0.6 / 0.8)
    assert (apart[~np.eye(5, dtype=bool)] > 0).all()
    wobbling = alignment._Moments()
    wobbling.add(*[(values[:, None] * (1 + 1e-7 * torch.randn(5, 500, generator=torch.Generator().manual_seed(0))))] * 2)
    assert not wobbling.correlations()[0][:3].any()


def test_correlations_of_small_and_far_values_are_numpys():
    rng, moments = numpy_generator("far"), alignment._Moments()
    one, two = (100 + rng.normal(size=(3, 400)) * [[1e-3], [1], [50]] for _ in range(2))
    two[0] += one[1] / 1000
    for part in np.array_split(np.arange(400), 7):
        moments.add(torch.from_numpy(one[:, part]), torch.from_numpy(two[:, part]))
    np.testing.assert_allclose(moments.correlations()[0], np.corrcoef(one, two)[:3, 3:], atol=1e-9)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"body.stage1_block1.bn1.runing_var": ("a",)}, "groups of 'body.stage1_block1.bn1.runing_var' must be one an axis"),
        (
            {"body.fc.bias": None},
            "groups along the axes of all tensors, or None, got nothing of body.fc.bias",
        ),
        (
            {"body.fc.weight": (None, None)},
            r"must be the same with its units permuted, got them off by \d.*; correct the",
        ),
    ],
)
def test_groups_under_which_a_network_changes_are_refused(change, text):
    network, axes = _made("resnet")
    state, x = _state(network), torch.randn(5, *SHAPE, generator=torch.Generator().manual_seed(0))
    alignment.check_axes(network, state, axes, x)
    wrong = {name: groups for name, groups in (dict(axes) | change).items() if groups is not None}
    with pytest.raises(ValueError, match=text):
        alignment.check_axes(network, state, wrong, x)
