from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_lib.core import registry
from pipeline_lib.core.rng import numpy_generator
from pipeline_lib.perturbations.noises import pruning_sized, sphere
from pipeline_lib.perturbations.shuffles import shuffle
from pipeline_lib.perturbations.signs import mix
from pipeline_lib.perturbations.support.application import perturb
from pipeline_lib.perturbations.support.context import Around

STATES = ["k", "initial", "fresh"]
SCOPES = {
    "global": lambda name, i: (),
    "layer": lambda name, i: (name,),
    "kernel": lambda name, i: (name, i[0], i[1]),
    "incoming": lambda name, i: (name, i[0]),
    "outgoing": lambda name, i: (name, i[1]),
}
SIGNS = ["any", "same_sign", "initial_signs"]
SHUFFLES = [{"name": "shuffle", "scope": scope, "signs": signs} for scope in SCOPES for signs in SIGNS]
MIXES = [{"name": "mix", "signs": a, "magnitudes": b} for a, b in itertools.product(STATES, STATES)]
NOISES = [{"name": "noise", "sigma": 0.5}, {"name": "sphere", "radius": 2.0}]
SHAPES = st.sampled_from([(2, 3), (3, 2, 1, 1), (2, 2, 3, 3), (1, 3, 2, 2)])
Problem = tuple[dict[str, np.ndarray], Around]


def _state(shapes: dict[str, tuple[int, ...]], rng: np.random.Generator) -> dict[str, np.ndarray]:
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def _problem(*shapes: tuple[int, ...], density: float = 1.0, seed: int = 0) -> Problem:
    rng = np.random.default_rng(seed)
    named = {f"{i}.weight": shape for i, shape in enumerate(shapes)}
    mask = {name: rng.random(shape) < density for name, shape in named.items()}
    weights = {name: np.where(mask[name], w, 0) for name, w in _state(named, rng).items()}
    deviation = {name: 0.1 * (i + 1) for i, name in enumerate(named)}
    around = Around(mask, _state(named, rng), _state(named, rng), deviation)
    return weights, replace(around, next={name: keep & (rng.random(keep.shape) < 0.7) for name, keep in mask.items()})


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    shapes = draw(st.lists(SHAPES, min_size=1, max_size=3))
    return _problem(*shapes, density=draw(st.sampled_from([0, 0.3, 0.8, 1])), seed=draw(st.integers(0, 2**32 - 1)))


def _apply(step: dict, problem: Problem, *draw: str | int) -> dict[str, np.ndarray]:
    weights, around = problem
    return perturb(weights, around, [step], numpy_generator("test", *draw))


def _groups(tensors: dict[str, np.ndarray], around: Around, scope: str) -> dict[tuple, list[float]]:
    """Sort the survivors of each group, entry by entry."""
    groups = defaultdict(list)
    for name, tensor in tensors.items():
        for index in map(tuple, np.argwhere(around.mask[name])):
            groups[SCOPES[scope](name, index)].append(float(tensor[index]))
    return {key: sorted(values) for key, values in groups.items()}


def _absolute(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.abs(tensor) for name, tensor in tensors.items()}


def _kept(tensors: dict[str, np.ndarray], around: Around) -> np.ndarray:
    return np.concatenate([tensors[name][keep] for name, keep in around.mask.items()])


EVERY_DEFAULT = [{"name": name, **entry.defaults} for name, entry in registry.entries("perturbations").items()]


def test_these_perturbations_are_there():
    assert {"mix", "shuffle", "noise", "sphere", "pruning_sized"} <= set(registry.entries("perturbations"))


@given(problems(), st.sampled_from(SHUFFLES + MIXES + NOISES + EVERY_DEFAULT))
def test_names_shapes_and_dtypes_stay_and_pruned_entries_are_zero(problem, step):
    weights, around = problem
    perturbed = _apply(step, problem)
    assert [(n, w.shape, w.dtype) for n, w in perturbed.items()] == [(n, w.shape, w.dtype) for n, w in weights.items()]
    assert all((perturbed[name][~keep] == 0).all() for name, keep in around.mask.items())


@given(problems(), st.sampled_from(SHUFFLES + MIXES + NOISES + EVERY_DEFAULT))
def test_the_arguments_are_not_changed(problem, step):
    weights, around = problem
    assert around.next is not None
    given = (weights, around.mask, around.initial, around.fresh, around.next)
    arguments = [array for arrays in given for array in arrays.values()]
    copies = [array.copy() for array in arguments]
    perturbed = _apply(step, problem)
    assert all(np.array_equal(array, copied) for array, copied in zip(arguments, copies, strict=True))
    assert not any(np.shares_memory(array, tensor) for array in arguments for tensor in perturbed.values())


@given(problems(), st.sampled_from(STATES), st.sampled_from(STATES))
def test_mix_takes_signs_and_magnitudes_where_it_is_told(problem, signs, magnitudes):
    weights, around = problem
    states = {"k": weights, "initial": around.initial, "fresh": around.fresh}
    mixed = _kept(_apply({"name": "mix", "signs": signs, "magnitudes": magnitudes}, problem), around)
    np.testing.assert_array_equal(np.sign(mixed), np.sign(_kept(states[signs], around)))
    np.testing.assert_array_equal(np.abs(mixed), np.abs(_kept(states[magnitudes], around)))


@given(problems())
def test_mix_of_one_state_is_that_state(problem):
    weights, around = problem
    for signs, state in (("k", weights), ("initial", around.initial)):
        mixed = _kept(_apply({"name": "mix", "signs": signs, "magnitudes": signs}, problem), around)
        np.testing.assert_array_equal(mixed, _kept(state, around))


def test_a_zero_lends_a_positive_sign():
    weights, ones = {"fc": np.zeros((1, 2))}, {"fc": np.array([[2.0, -3.0]])}
    around = Around({"fc": np.ones((1, 2), dtype=bool)}, ones, ones, {"fc": 1.0})
    mixed = mix(weights, around, numpy_generator(), signs="k", magnitudes="initial")
    assert mixed["fc"].tolist() == [[2, 3]]


@given(problems(), st.sampled_from(list(SCOPES)), st.sampled_from(["any", "same_sign"]))
def test_shuffle_keeps_the_weights_of_each_group(problem, scope, signs):
    shuffled = _apply({"name": "shuffle", "scope": scope, "signs": signs}, problem)
    assert _groups(shuffled, problem[1], scope) == _groups(problem[0], problem[1], scope)


@given(problems(), st.sampled_from(list(SCOPES)))
def test_same_sign_keeps_the_sign_of_each_place(problem, scope):
    shuffled = _apply({"name": "shuffle", "scope": scope, "signs": "same_sign"}, problem)
    assert all(np.array_equal(np.sign(shuffled[name]), np.sign(weight)) for name, weight in problem[0].items())


@given(problems(), st.sampled_from(list(SCOPES)))
def test_initial_signs_keeps_magnitudes_by_group_and_takes_the_signs_of_initialisation(problem, scope):
    weights, around = problem
    shuffled = _apply({"name": "shuffle", "scope": scope, "signs": "initial_signs"}, problem)
    assert _groups(_absolute(shuffled), around, scope) == _groups(_absolute(weights), around, scope)
    np.testing.assert_array_equal(np.sign(_kept(shuffled, around)), np.sign(_kept(around.initial, around)))


@pytest.mark.parametrize("scope", list(SCOPES))
def test_shuffle_moves_almost_every_weight_of_large_groups(scope):
    problem = _problem((30, 30, 10, 10), (30, 30, 10, 10), density=0.5)
    shuffled = _apply({"name": "shuffle", "scope": scope}, problem)
    moved = _kept(shuffled, problem[1]) != _kept(problem[0], problem[1])
    assert moved.mean() > 0.95  # of a group of 50, one weight in 50 stays


def test_a_global_shuffle_moves_weights_between_layers():
    problem = _problem((40, 40), (40, 40))
    shuffled = _apply({"name": "shuffle", "scope": "global"}, problem)["0.weight"]
    assert np.isin(shuffled, problem[0]["1.weight"]).mean() == pytest.approx(0.5, abs=0.1)


def test_a_kernel_shuffle_leaves_linear_layers_and_1x1_convolutions():
    problem = _problem((20, 10), (20, 10, 1, 1), (20, 10, 3, 3))
    linear, pointwise, conv = _apply({"name": "shuffle", "scope": "kernel"}, problem).values()
    assert np.array_equal(linear, problem[0]["0.weight"])
    assert np.array_equal(pointwise, problem[0]["1.weight"])
    assert not np.array_equal(conv, problem[0]["2.weight"])


@pytest.mark.parametrize("scope", ["kernel", "incoming"])
def test_all_permutations_of_three_survivors_are_equally_likely(scope):
    num = 60_000  # groups, enough to tell a shuffle by naive swaps (1/6 ± 1/54) from a fair one
    weights = {"conv": np.tile(np.array([1.0, 0, 2, 3]).reshape(1, 1, 2, 2), (num, 1, 1, 1))}
    mask = {"conv": weights["conv"] != 0}
    shuffled = shuffle(weights, Around(mask, weights, weights, {"conv": 1.0}), numpy_generator("fair"), scope=scope)
    counts = Counter(map(tuple, shuffled["conv"][mask["conv"]].reshape(num, 3).tolist()))
    assert set(counts) == set(itertools.permutations([1.0, 2.0, 3.0]))
    assert all(abs(count - num / 6) < 5 * (num * 5 / 36) ** 0.5 for count in counts.values())


@pytest.mark.parametrize("sigma", [0.5, 2.0])
def test_noise_has_the_mean_and_the_deviation_of_each_layer(sigma):
    weights, around = _problem((200, 200), (50, 50, 5, 5), density=0.6)
    noisy = _apply({"name": "noise", "sigma": sigma}, (weights, around))
    for name, keep in around.mask.items():
        difference = (noisy[name].astype(float) - weights[name])[keep]
        expected, num = sigma * around.deviation[name], difference.size
        assert abs(difference.mean()) < 5 * expected / num**0.5
        assert difference.std() == pytest.approx(expected, rel=5 / (2 * num) ** 0.5)
        assert (np.abs(difference) < expected).mean() == pytest.approx(0.6827, abs=5 * (0.2166 / num) ** 0.5)


@given(problems(), st.floats(0.01, 100))
def test_a_sphere_step_has_its_radius_over_all_layers(problem, radius):
    weights, around = problem
    weights = {name: weight.astype(float) for name, weight in weights.items()}
    moved = _apply({"name": "sphere", "radius": radius}, (weights, around))
    difference = _kept(moved, around) - _kept(weights, around)
    assert np.linalg.norm(difference) == pytest.approx(radius if difference.size else 0, rel=1e-5)


def test_a_sphere_step_has_no_preferred_direction():
    weights, around = _problem((2, 2), (1, 2))
    zero, rng, num = {name: np.zeros(w.shape) for name, w in weights.items()}, numpy_generator("sphere"), 4000
    steps = np.stack([_kept(sphere(zero, around, rng), around) for _ in range(num)])
    dimension = steps.shape[1]
    assert np.abs(steps.mean(0)).max() < 5 * (dimension * num) ** -0.5
    # A coordinate's square is Beta(1/2, (dimension - 1) / 2): mean 1/d, and fourth moment 3 / (d (d + 2)).
    variance = 3 / (dimension * (dimension + 2)) - dimension**-2
    covariance = steps.T @ steps / num
    assert np.abs(covariance - np.eye(dimension) / dimension).max() < 5 * (variance / num) ** 0.5
    assert (steps**4).mean() == pytest.approx(3 / (dimension * (dimension + 2)), rel=0.05)


def _in_float64(problem: Problem) -> Problem:
    return {name: weight.astype(float) for name, weight in problem[0].items()}, problem[1]


@given(problems())
def test_a_pruning_sized_step_is_as_long_as_the_pruning_step_and_stays_among_the_levels_survivors(problem):
    weights, around = _in_float64(problem)
    moved = _apply({"name": "pruning_sized"}, (weights, around))
    pruned = sum(((weights[name] * later - weights[name] * around.mask[name]) ** 2).sum() for name, later in around.next.items())
    norm = sum(((moved[name] - weights[name]) ** 2).sum() for name in weights) ** 0.5
    assert norm == pytest.approx(pruned**0.5, rel=1e-12)
    changed = np.concatenate([(moved[name] != weights[name]).ravel() for name in weights])
    kept = np.concatenate([keep.ravel() for keep in around.mask.values()])
    assert not changed[~kept].any()
    assert (changed[kept] == (pruned > 0)).all()  # those that the next level prunes too: the vector has no preferred direction


@given(problems())
def test_a_pruning_sized_step_is_a_sphere_of_that_radius(problem):
    weights, around = _in_float64(problem)
    lost = {name: keep & ~around.next[name] for name, keep in around.mask.items()}
    radius = float(np.linalg.norm(np.concatenate([weights[name][where] for name, where in lost.items()])))
    found = pruning_sized(weights, around, numpy_generator("x"), around.next)
    expected = sphere(weights, around, numpy_generator("x"), radius=radius)
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_a_pruning_sized_step_where_nothing_is_pruned_next_is_none():
    weights, around = _problem((4, 3), density=0.5)
    found = pruning_sized(weights, around, numpy_generator(), around.mask)
    assert np.array_equal(found["0.weight"], weights["0.weight"])


@pytest.mark.parametrize("step", [{"name": "noise", "sigma": 0.0}, {"name": "sphere", "radius": 0.0}])
def test_a_step_of_no_size_is_none(step):
    problem = _problem((4, 3), (2, 2, 3, 3), density=0.5)
    assert all(np.array_equal(w, problem[0][name]) for name, w in _apply(step, problem).items())


@pytest.mark.parametrize(
    "step", [s for s in [*SHUFFLES, *NOISES, {"name": "pruning_sized"}] if s.get("scope") != "kernel"], ids=str
)
def test_a_draw_depends_on_its_name_alone(step):
    problem = _problem((6, 5), (4, 4, 3, 3), density=0.7)
    first, again, other = (_kept(_apply(step, problem, draw), problem[1]) for draw in ("a", "a", "b"))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (
            {"name": "mix", "signs": "inital"},
            "signs of start mix must be one of fresh, initial, k, got 'inital'; did you mean 'initial'",
        ),
        (
            {"name": "mix", "magnitudes": "zero"},
            "magnitudes of start mix must be one of fresh, initial, k, got 'zero'; choose one of them",
        ),
        (
            {"name": "shuffle", "scope": "filter"},
            "scope of start shuffle must be one of global, incoming, kernel, layer, outgoing, got",
        ),
        ({"name": "shuffle", "signs": "same"}, "signs of start shuffle must be one of any, initial_signs, same_sign, got 'same'"),
        ({"name": "noise", "sigma": -0.5}, "sigma of start noise must be a finite number in .0, 1000000., got -0.5"),
        ({"name": "noise", "sigma": float("nan")}, "sigma of start noise must be a finite number .*, got nan"),
        ({"name": "sphere", "radius": -1.0}, "radius of start sphere must be a finite number .*, got -1.0"),
        ({"name": "sphere", "radius": float("inf")}, "radius of start sphere must be a finite number .*, got inf"),
    ],
)
def test_bad_options_are_refused(step, text):
    with pytest.raises(ValueError, match=text):
        _apply(registry.bind("perturbations", step, ("weights", "around", "rng"), "start"), _problem((2, 3)))
