from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_lib.core.rng import numpy_generator
from pipeline_lib.pruning import masks, selection
from pipeline_lib.pruning.criteria.magnitude import magnitude
from pipeline_lib.pruning.criteria.random import random

RNG = numpy_generator("test prune")
FRACTIONS = st.sampled_from([0.01, 0.2, 0.36, 0.5, 0.99])
SCOPES = st.sampled_from(["global", "layer"])
CRITERIA = st.sampled_from([magnitude, random])


def _layers(*sizes: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = numpy_generator("layers", seed)
    return {f"fc{i}.weight": rng.standard_normal((size, 2)) for i, size in enumerate(sizes)}


def _ones(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.ones(w.shape, dtype=bool) for name, w in weights.items()}


@st.composite
def problems(draw: st.DrawFn) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Weights with many ties, and a mask that keeps at least one weight a layer."""
    sizes = draw(st.lists(st.integers(1, 6), min_size=1, max_size=3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    weights = {f"fc{i}.weight": rng.integers(-3, 4, (size, 3)).astype(np.float32) for i, size in enumerate(sizes)}
    mask = {name: rng.random(w.shape) < 0.7 for name, w in weights.items()}
    for keep in mask.values():
        keep.flat[0] = True
    return weights, mask


@given(problems(), FRACTIONS, SCOPES, CRITERIA)
def test_the_next_mask_is_a_proper_subset(problem, fraction, scope, criterion):
    weights, mask = problem
    pruned = criterion(weights, mask, fraction, scope, RNG)
    assert list(pruned) == list(mask)
    assert all(not (pruned[name] & ~mask[name]).any() for name in mask)
    assert masks.num_kept(pruned) < masks.num_kept(mask)


@given(problems(), FRACTIONS, SCOPES, CRITERIA)
def test_the_count_is_the_ceiling_in_each_scope(problem, fraction, scope, criterion):
    weights, mask = problem
    pruned = criterion(weights, mask, fraction, scope, RNG)
    groups = [list(mask)] if scope == "global" else [[name] for name in mask]
    for names in groups:
        before, after = (sum(int(m[name].sum()) for name in names) for m in (mask, pruned))
        assert before - after == math.ceil(round(fraction * before, 6))


@given(problems(), FRACTIONS)
def test_no_survivor_is_smaller_than_a_pruned_weight(problem, fraction):
    weights, mask = problem
    pruned = magnitude(weights, mask, fraction, "global", RNG)
    flat = np.concatenate([np.abs(w).ravel() for w in weights.values()])
    kept = np.concatenate([keep.ravel() for keep in pruned.values()])
    gone = np.concatenate([keep.ravel() for keep in mask.values()]) & ~kept
    assert not kept.any() or flat[gone].max() <= flat[kept].min()


@given(problems(), FRACTIONS)
def test_the_arguments_are_not_changed(problem, fraction):
    weights, mask = problem
    copies = [{n: a.copy() for n, a in arrays.items()} for arrays in (weights, mask)]
    magnitude(weights, mask, fraction, "layer", RNG)
    for arrays, copied in zip((weights, mask), copies, strict=True):
        assert all(np.array_equal(arrays[n], copied[n]) for n in arrays)


def test_masked_weights_do_not_compete():
    weights = {"fc.weight": np.array([0.0, 0.0, 3.0, 2.0])}
    mask = {"fc.weight": np.array([False, False, True, True])}
    assert magnitude(weights, mask, 0.5, "global", RNG)["fc.weight"].tolist() == [False, False, True, False]


def test_of_equal_weights_the_first_index_goes_first():
    weights = {"a.weight": np.array([[1.0, -1.0]]), "b.weight": np.array([[1.0, 1.0, 1.0]])}
    pruned = magnitude(weights, _ones(weights), 0.5, "global", RNG)
    assert pruned["a.weight"].tolist() == [[False, False]]
    assert pruned["b.weight"].tolist() == [[False, True, True]]


def test_global_scope_empties_a_small_layer_where_layer_scope_does_not():
    weights = {"a.weight": np.full(4, 0.1), "b.weight": np.full(4, 9.0)}
    everywhere = magnitude(weights, _ones(weights), 0.5, "global", RNG)
    apart = magnitude(weights, _ones(weights), 0.5, "layer", RNG)
    assert [int(keep.sum()) for keep in everywhere.values()] == [0, 4]
    assert [int(keep.sum()) for keep in apart.values()] == [2, 2]


def test_random_ignores_the_weights_and_depends_on_its_generator():
    ones, other = _ones(_layers(20)), _layers(20, seed=1)
    first, same, another = (
        random(weights, ones, 0.5, "global", numpy_generator("draw", draw))["fc0.weight"]
        for weights, draw in ((_layers(20), 0), (other, 0), (other, 1))
    )
    assert np.array_equal(first, same)
    assert not np.array_equal(first, another)


@given(problems())
def test_shuffled_keeps_the_count_of_each_layer(problem):
    _, mask = problem
    shuffled = masks.shuffled(mask, numpy_generator("shuffle"))
    assert {n: (k.shape, k.sum()) for n, k in shuffled.items()} == {n: (k.shape, k.sum()) for n, k in mask.items()}


def test_shuffled_moves_the_kept_weights():
    mask = {"fc.weight": np.arange(200) < 100}
    assert not np.array_equal(masks.shuffled(mask, numpy_generator("shuffle"))["fc.weight"], mask["fc.weight"])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused(bad):
    weights = _layers(3)
    weights["fc0.weight"][1, 1] = bad
    with pytest.raises(ValueError, match="weights to prune must be finite, got NaN or infinity"):
        magnitude(weights, _ones(weights), 0.2, "global", RNG)


def test_a_masked_weight_may_be_anything():
    weights = _layers(3)
    mask = _ones(weights)
    weights["fc0.weight"][1, 1], mask["fc0.weight"][1, 1] = np.nan, False
    assert masks.num_kept(magnitude(weights, mask, 0.2, "global", RNG)) == 4


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.2, 1.2, math.nan])
def test_a_fraction_outside_the_open_interval_is_refused(fraction):
    with pytest.raises(ValueError, match=r"fraction must be in \(0, 1\), got"):
        selection.num_pruned(10, fraction)


def test_an_unknown_scope_is_refused():
    with pytest.raises(ValueError, match="scope must be global or layer, got 'local'"):
        magnitude(_layers(3), _ones(_layers(3)), 0.2, "local", RNG)


@pytest.mark.parametrize(
    ("remaining", "fraction", "count"), [(10, 0.2, 2), (11, 0.2, 3), (15, 0.2, 3), (10, 0.3, 3), (1, 0.2, 1)]
)
def test_num_pruned_is_exact_for_decimal_fractions(remaining, fraction, count):
    assert selection.num_pruned(remaining, fraction) == count
