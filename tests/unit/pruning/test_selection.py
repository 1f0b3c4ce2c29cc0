"""Which weights go, whatever the criterion: counts, scopes, ties, what is pruned already, and scores that cannot be ranked."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_lib.core import registry
from pipeline_lib.pruning import masks
from pipeline_lib.pruning.selection import drop, num_pruned, prune

Arrays = dict[str, np.ndarray]
FRACTIONS = st.floats(0.001, 0.999) | st.sampled_from([0.01, 0.2, 0.36, 0.5, 0.99])
SCOPES = st.sampled_from(["global", "layer"])


@st.composite
def problems(draw: st.DrawFn) -> tuple[Arrays, Arrays]:
    """Scores with many ties or none, some of pruned weights not finite; layers may have no weight left."""
    shapes = draw(st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=4), min_size=1, max_size=4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    density, ties = draw(st.sampled_from([0.0, 0.3, 0.9, 1.0])), draw(st.booleans())
    scores, mask = Arrays(), Arrays()
    for i, shape in enumerate(shapes):
        name = f"fc{len(shapes) - i}.weight"  # the mask's order is not that of names
        scores[name] = (rng.integers(-2, 3, shape) if ties else rng.standard_normal(shape)).astype(np.float32)
        mask[name] = rng.random(shape) < density
        scores[name][~mask[name]] = rng.choice([np.nan, np.inf, -np.inf, 0.0])
    return scores, mask


def _ranked(scores: Arrays, mask: Arrays, names: list[str]) -> list[tuple[float, int, int]]:
    """List survivors as (score, layer, place), lowest first, and of equal ones the first in the mask's order."""
    every = [(float(scores[n].flat[j]), i, j) for i, n in enumerate(names) for j in range(mask[n].size) if mask[n].flat[j]]
    return sorted(every)


@given(problems(), FRACTIONS, SCOPES)
def test_exactly_the_lowest_survivors_go_and_the_first_of_equal_ones(problem, fraction, scope):
    scores, mask = problem
    expected = {name: keep.copy() for name, keep in mask.items()}
    for names in [list(mask)] if scope == "global" else [[name] for name in mask]:
        ranked = _ranked(scores, mask, names)
        for _, layer, place in ranked[: math.ceil(round(fraction * len(ranked), 6))]:
            expected[names[layer]].flat[place] = False
    found = drop("made up", scores, mask, fraction, scope)
    assert list(found) == list(mask)
    assert all(found[name].dtype == bool and np.array_equal(found[name], expected[name]) for name in mask)


@given(problems(), FRACTIONS, SCOPES)
def test_what_is_pruned_stays_pruned_and_the_count_is_exact(problem, fraction, scope):
    scores, mask = problem
    copies = [{name: array.copy() for name, array in arrays.items()} for arrays in problem]
    found = drop("made up", scores, mask, fraction, scope)
    assert not any((found[name] & ~mask[name]).any() for name in mask)
    groups = [list(mask)] if scope == "global" else [[name] for name in mask]
    for names in groups:
        before, after = (sum(int(m[name].sum()) for name in names) for m in (mask, found))
        assert before - after == math.ceil(round(fraction * before, 6))
    for arrays, copied in zip(problem, copies, strict=True):
        assert all(np.array_equal(arrays[name], copied[name], equal_nan=True) for name in arrays)


@given(problems(), FRACTIONS, SCOPES)
def test_layers_that_are_not_in_the_mask_do_not_compete(problem, fraction, scope):
    scores, mask = problem
    alone = drop("made up", scores, mask, fraction, scope)
    beside = drop("made up", {"spared.weight": np.full(9, np.nan), **scores}, mask, fraction, scope)
    assert list(beside) == list(mask)
    assert all(np.array_equal(alone[name], beside[name]) for name in mask)


def test_global_scope_empties_a_small_layer_where_layer_scope_does_not():
    scores = {"a.weight": np.full(4, 0.1), "b.weight": np.full(4, 9.0)}
    ones = {name: np.ones(4, dtype=bool) for name in scores}
    everywhere, apart = (drop("made up", scores, ones, 0.5, scope) for scope in ("global", "layer"))
    assert [int(keep.sum()) for keep in everywhere.values()] == [0, 4]
    assert [int(keep.sum()) for keep in apart.values()] == [2, 2]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("scope", ["global", "layer"])
def test_scores_that_are_not_finite_are_refused_by_criterion_and_layer(bad, scope):
    scores = {"a.weight": np.ones(3), "b.weight": np.array([1.0, bad, 1.0])}
    mask = {name: np.ones(3, dtype=bool) for name in scores}
    words = "scores of criterion made_up must be finite, got NaN or infinity in b.weight; if the run has diverged"
    with pytest.raises(ValueError, match=words):
        drop("made_up", scores, mask, 0.2, scope)
    mask["b.weight"][1] = False
    assert masks.num_kept(drop("made_up", scores, mask, 0.2, scope)) == (4 if scope == "global" else 3)


@pytest.mark.parametrize(("scores", "found"), [({}, "none"), ({"a.weight": np.ones((3, 1))}, r"\(3, 1\)")])
def test_scores_of_other_shapes_are_refused(scores, found):
    words = rf"scores of criterion made_up must have the weights' names and shapes, \(3,\) for a.weight, got {found}; mend"
    with pytest.raises(ValueError, match=words):
        drop("made_up", scores, {"a.weight": np.ones(3, dtype=bool)}, 0.2, "global")


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.2, 1.2, math.nan])
def test_a_fraction_outside_the_open_interval_is_refused(fraction):
    with pytest.raises(ValueError, match=r"fraction must be in \(0, 1\), got"):
        num_pruned(10, fraction)


def test_an_unknown_scope_is_refused():
    ones = {"a.weight": np.ones(3)}
    with pytest.raises(ValueError, match="scope must be global or layer, got 'local'"):
        drop("made up", ones, {"a.weight": np.ones(3, dtype=bool)}, 0.2, "local")


@pytest.mark.parametrize(
    ("remaining", "fraction", "count"), [(10, 0.2, 2), (11, 0.2, 3), (15, 0.2, 3), (10, 0.3, 3), (1, 0.2, 1)]
)
def test_num_pruned_is_exact_for_decimal_fractions(remaining, fraction, count):
    assert num_pruned(remaining, fraction) == count


def test_a_criterion_is_given_what_its_arguments_ask_for_and_nothing_else(monkeypatch):
    def second(rng: object, mask: Arrays, gradients: Arrays) -> Arrays:
        assert rng == "chance" and list(mask) == ["a.weight"]
        return {name: -gradient for name, gradient in gradients.items()}

    monkeypatch.setattr(registry.Entry, "load", lambda self: second)
    entry = registry.Entry("made.up", "second", ("rng", "mask", "gradients"), {}, {})
    monkeypatch.setattr(registry, "entries", lambda kind: {"second": entry} if kind == "criteria" else {})
    mask = {"a.weight": np.ones(4, dtype=bool)}
    known = {"gradients": {"a.weight": np.arange(4.0)}, "rng": "chance", "weights": mask}
    assert prune("second", known, mask, 0.5, "global")["a.weight"].tolist() == [True, True, False, False]
    del known["gradients"]
    with pytest.raises(ValueError, match="criterion second must look at mask, rng, weights alone here, got gradients"):
        prune("second", known, mask, 0.5, "global")
