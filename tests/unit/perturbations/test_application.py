from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_lib.core import registry
from pipeline_lib.core.rng import numpy_generator
from pipeline_lib.perturbations.support.application import ALL, Size, perturb, sizes
from pipeline_lib.perturbations.support.context import Around, initial_deviation

CONVS = {"stem": (16, 3, 3, 3), "wide": (32, 16, 3, 3), "narrow": (8, 32, 3, 3), "point": (16, 8, 1, 1), "fc": (10, 16)}
SCOPES = {"global": None, "layer": (), "incoming": (0,), "outgoing": (1,), "kernel": (0, 1)}  # axes that tell groups apart
Arrays = dict[str, np.ndarray]


def _bound(name: str, **options: object) -> dict:
    return registry.bind("perturbations", {"name": name, **options}, ["weights", "around", "rng"], "perturb")


def _kaiming(shapes: dict[str, tuple[int, ...]], *draw: str | int) -> Arrays:
    rng = numpy_generator("kaiming", *draw)
    scale = {name: initial_deviation("kaiming_normal", np.zeros(shape)) for name, shape in shapes.items()}
    return {name: (scale[name] * rng.standard_normal(shape)).astype(np.float32) for name, shape in shapes.items()}


def _pruned(shapes: dict[str, tuple[int, ...]] = CONVS, density: float = 0.3) -> tuple[Arrays, Around]:
    """Random weights, the largest of which survive."""
    dense = _kaiming(shapes, "k")
    threshold = np.quantile(np.abs(np.concatenate([w.ravel() for w in dense.values()])), 1 - density)
    mask = {name: np.abs(w) >= threshold for name, w in dense.items()}
    weights = {name: np.where(mask[name], w, 0) for name, w in dense.items()}
    deviation = {name: initial_deviation("kaiming_normal", np.zeros(shape)) for name, shape in shapes.items()}
    return weights, Around(mask, _kaiming(shapes, 0), _kaiming(shapes, "fresh"), deviation)


def _deviation(weights: Arrays, around: Around, *steps: dict) -> float:
    """Effective standard deviation over all layers."""
    after = perturb(weights, around, steps, numpy_generator("perturb"))
    deviation = sizes(weights, after, around.mask)[0].deviation
    assert deviation is not None
    return deviation


def _variance_in_groups(weights: Arrays, mask: Arrays, scope: str) -> float:
    """Mean over all survivors of the population variance of the group that each is in."""
    groups: dict[tuple, list[float]] = {}
    for name, keep in mask.items():
        for index in map(tuple, np.argwhere(keep)):
            axes = SCOPES[scope]
            key = () if axes is None else (name, *(index[axis] for axis in axes))
            groups.setdefault(key, []).append(float(weights[name][index]))
    return sum(len(g) * np.var(g) for g in groups.values()) / sum(map(len, groups.values()))


@st.composite
def changes(draw: st.DrawFn) -> tuple[Arrays, Arrays, Arrays]:
    shapes = draw(st.lists(st.sampled_from([(2, 3), (2, 2, 3, 3), (1, 1)]), min_size=1, max_size=3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    before, after = (
        {f"{i}.weight": rng.standard_normal(shape).astype(np.float32) for i, shape in enumerate(shapes)} for _ in range(2)
    )
    return before, after, {name: rng.random(w.shape) < 0.6 for name, w in before.items()}


def _expected(layer: str, differences: np.ndarray) -> Size:
    if not len(differences):
        return Size(layer, None, None, 0, 0.0)
    return Size(
        layer, float(differences.mean()), float(differences.std()), len(differences), float((differences**2).sum() ** 0.5)
    )


def _values(size: Size) -> np.ndarray:
    return np.array([size.mean, size.deviation, size.norm], dtype=float)  # None becomes NaN


@given(changes())
def test_sizes_are_those_of_the_survivors(change):
    before, after, mask = change
    pieces = {name: after[name][keep].astype(float) - before[name][keep] for name, keep in mask.items()}
    expected = [_expected(ALL, np.concatenate(list(pieces.values()))), *(_expected(n, p) for n, p in pieces.items())]
    found = sizes(before, after, mask)
    assert [(s.layer, s.num_weights) for s in found] == [(s.layer, s.num_weights) for s in expected]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(_values(one), _values(other), rtol=1e-12, atol=1e-15)


def test_sizes_add_up_in_float64():
    before = {"fc": np.zeros((1000, 1000), np.float32)}
    after = {"fc": np.full((1000, 1000), 0.1, np.float32)}
    pooled = sizes(before, after, {"fc": np.ones((1000, 1000), dtype=bool)})[0]
    assert pooled.mean == pytest.approx(float(np.float32(0.1)), rel=1e-12)
    assert pooled.norm == pytest.approx(1000 * float(np.float32(0.1)), rel=1e-12)


def test_the_size_of_a_sign_change_in_closed_form():
    weights, initial = {"fc": np.array([[1.0, -2.0, 3.0, 0.0]])}, {"fc": np.array([[-5.0, -5.0, 5.0, -5.0]])}
    around = Around({"fc": np.array([[True, True, True, False]])}, initial, initial, {"fc": 1.0})
    after = perturb(weights, around, [_bound("mix", signs="initial")], numpy_generator())
    assert after["fc"].tolist() == [[-1, -2, 3, 0]]
    pooled, layer = sizes(weights, after, around.mask)  # differences -2, 0, 0
    assert (pooled.mean, pooled.deviation) == pytest.approx((-2 / 3, (8 / 9) ** 0.5))
    assert (pooled.num_weights, pooled.norm, layer.norm) == (3, 2, 2)


def test_a_shuffle_of_normal_weights_is_root_two_of_their_deviation():
    weights = {"fc": numpy_generator("normal").standard_normal((300, 300))}
    around = Around({"fc": numpy_generator("mask").random((300, 300)) < 0.5}, weights, weights, {"fc": 1.0})
    expected = 2**0.5 * weights["fc"][around.mask["fc"]].std()
    assert _deviation(weights, around, _bound("shuffle", scope="global")) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("scope", list(SCOPES))
def test_the_squared_size_of_a_shuffle_is_twice_the_variance_inside_groups(scope):
    weights, around = _pruned()
    expected = (2 * _variance_in_groups(weights, around.mask, scope)) ** 0.5
    assert _deviation(weights, around, _bound("shuffle", scope=scope)) == pytest.approx(expected, rel=0.05)


def test_smaller_parts_and_kept_signs_make_smaller_shuffles():
    weights, around = _pruned()
    apart = [_bound("shuffle", scope=scope, signs=signs) for signs in ("same_sign", "any") for scope in ("kernel", "layer")]
    kernel_same, layer_same, kernel, layer = (_deviation(weights, around, step) for step in apart)
    assert kernel_same < layer_same < kernel < layer


def test_the_size_of_noise_pools_the_layers_variances():
    weights, around = _pruned()
    num = {name: np.count_nonzero(keep) for name, keep in around.mask.items()}
    expected = (sum(num[n] * around.deviation[n] ** 2 for n in num) / sum(num.values())) ** 0.5
    assert _deviation(weights, around, _bound("noise")) == pytest.approx(expected, rel=0.1)
    assert _deviation(weights, around, _bound("noise", sigma=3)) == pytest.approx(
        3 * _deviation(weights, around, _bound("noise")), rel=1e-5
    )


def test_steps_are_applied_in_turn_and_share_a_generator():
    weights, around = _pruned()
    mix, shuffle = _bound("mix", magnitudes="initial"), _bound("shuffle", scope="global")
    both = perturb(weights, around, [mix, shuffle, shuffle], numpy_generator("x"))
    rng, expected = numpy_generator("x"), weights
    for step in (mix, shuffle, shuffle):
        expected = perturb(expected, around, [step], rng)
    swapped = perturb(weights, around, [shuffle, mix, shuffle], numpy_generator("x"))
    assert all(np.array_equal(both[name], expected[name]) for name in both)
    assert not all(np.array_equal(both[name], swapped[name]) for name in both)


def test_no_steps_change_nothing():
    weights, around = _pruned()
    assert all(np.array_equal(w, weights[n]) for n, w in perturb(weights, around, [], numpy_generator()).items())


def test_tensors_outside_the_mask_are_kept_in_their_place():
    weights, around = _pruned()
    weights = {"bn": np.ones(3), **weights, "bias": np.ones(2)}
    after = perturb(weights, around, [_bound("noise")], numpy_generator())
    assert list(after) == list(weights)
    assert after["bn"] is weights["bn"] and after["bias"] is weights["bias"]


def test_a_perturbation_is_named_and_bound_like_any_entry():
    assert _bound("noise", sigma=1) == {"name": "noise", "sigma": 1.0}
    assert _bound("shuffle", scope="kernel") == {"name": "shuffle", "scope": "kernel", "signs": "any"}
    with pytest.raises(
        ValueError, match=r"perturb\.name must be one of mix, noise, pruning_sized, shuffle, sphere, got 'shufle'; did you mean"
    ):
        _bound("shufle")
    with pytest.raises(ValueError, match="option of perturb noise must be one of sigma, got 'sigm'; did you mean 'sigma'"):
        _bound("noise", sigm=1.0)


def test_a_mask_of_another_network_is_refused():
    weights, around = _pruned()
    del weights["fc"]
    with pytest.raises(ValueError, match="mask must fit the network, got a mask of 'fc'"):
        perturb(weights, around, [], numpy_generator())


def test_a_step_of_one_layer_leaves_the_others_and_draws_as_if_it_were_alone():
    weights, around = _pruned()
    after = perturb(weights, around, [_bound("noise") | {"layer": "fc"}], numpy_generator("x"))
    alone = replace(around, mask={"fc": around.mask["fc"]})
    assert np.array_equal(after["fc"], perturb({"fc": weights["fc"]}, alone, [_bound("noise")], numpy_generator("x"))["fc"])
    assert not np.array_equal(after["fc"], weights["fc"])
    assert all(after[name] is weights[name] for name in weights if name != "fc")


def test_a_layer_that_does_not_exist_is_refused():
    weights, around = _pruned()
    with pytest.raises(ValueError, match=r"layer must be one of .*, got 'f'; did you mean 'fc'"):
        perturb(weights, around, [_bound("noise") | {"layer": "f"}], numpy_generator())


def test_a_perturbation_that_is_sized_by_pruning_takes_the_next_mask_of_its_layers_alone():
    weights, around = _pruned()
    around = replace(around, next={name: keep & (np.abs(weights[name]) > 0.2) for name, keep in around.mask.items()})
    after = perturb(weights, around, [{"name": "pruning_sized", "layer": "fc"}], numpy_generator("x"))
    pruned = weights["fc"][around.mask["fc"] & ~around.next["fc"]].astype(float)
    assert pruned.any()
    assert np.linalg.norm(after["fc"].astype(float) - weights["fc"]) == pytest.approx(np.linalg.norm(pruned), rel=1e-5)
    assert all(after[name] is weights[name] for name in weights if name != "fc")


def test_without_a_next_level_a_perturbation_that_needs_its_mask_is_refused():
    weights, around = _pruned()
    text = "start pruning_sized must have the next level's mask, got none; use it at levels below the last"
    with pytest.raises(ValueError, match=text):
        perturb(weights, around, [{"name": "pruning_sized"}], numpy_generator())
