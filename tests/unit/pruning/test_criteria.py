"""Each criterion's scores."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_lib.core.rng import numpy_generator
from pipeline_lib.pruning import masks
from pipeline_lib.pruning.criteria.grasp import grasp
from pipeline_lib.pruning.criteria.magnitude import magnitude
from pipeline_lib.pruning.criteria.random import random
from pipeline_lib.pruning.criteria.snip import snip
from pipeline_lib.pruning.criteria.synflow import synflow
from pipeline_lib.pruning.criteria.taylor import taylor
from pipeline_lib.pruning.selection import prune

Arrays = dict[str, np.ndarray]


def _layers(*sizes: int, seed: int = 0) -> Arrays:
    rng = numpy_generator("layers", seed)
    return {f"fc{i}.weight": rng.standard_normal((size, 2)) for i, size in enumerate(sizes)}


def _ones(weights: Arrays) -> Arrays:
    return {name: np.ones(w.shape, dtype=bool) for name, w in weights.items()}


def _problem() -> tuple[Arrays, Arrays]:
    """A layer without ties, and one of nine values."""
    rng = numpy_generator("stored")
    weights = {
        "stem.weight": rng.standard_normal((8, 3, 3, 3)).astype(np.float32),
        "fc.weight": rng.integers(-4, 5, (10, 32)).astype(np.float32),
    }
    return weights, {name: rng.random(w.shape) < 0.8 for name, w in weights.items()}


@pytest.mark.parametrize(
    ("criterion", "scope", "digest"),
    [
        ("magnitude", "global", "5776a9c647a9efe9"),
        ("magnitude", "layer", "3539c8cac1b8e59b"),
        ("random", "global", "44f75f9113d2780b"),
        ("random", "layer", "bb9518b1238de46e"),
    ],
)
def test_masks_are_those_of_criteria_that_selected_by_themselves(criterion, scope, digest):
    """Digests of masks made before criteria became scores."""
    weights, mask = _problem()
    made = prune(criterion, {"weights": weights, "rng": numpy_generator("draw")}, mask, 0.3, scope)
    packed = b"".join(np.packbits(keep).tobytes() for keep in made.values())
    assert hashlib.sha256(packed).hexdigest()[:16] == digest


@given(st.integers(0, 2**32 - 1))
def test_magnitude_is_the_size_whatever_the_sign(seed):
    weights = _layers(3, 2, seed=seed)
    flipped = {name: -weight for name, weight in weights.items()}
    for scores in (magnitude(weights), magnitude(flipped)):
        assert all(np.array_equal(scores[name], np.sqrt(weight**2)) for name, weight in weights.items())


def test_random_depends_on_its_generator_alone():
    ones = _ones(_layers(20))
    first, same, another = (random(ones, numpy_generator("draw", draw))["fc0.weight"] for draw in (0, 0, 1))
    assert np.array_equal(first, same)
    assert not np.array_equal(first, another)


def test_shuffled_keeps_the_count_of_each_layer():
    _, mask = _problem()
    shuffled = masks.shuffled(mask, numpy_generator("shuffle"))
    assert {n: (k.shape, k.sum()) for n, k in shuffled.items()} == {n: (k.shape, k.sum()) for n, k in mask.items()}


def test_shuffled_moves_the_kept_weights():
    mask = {"fc.weight": np.arange(200) < 100}
    assert not np.array_equal(masks.shuffled(mask, numpy_generator("shuffle"))["fc.weight"], mask["fc.weight"])


WEIGHTS = {"a.weight": np.array([[2.0, -1.0]], dtype=np.float32), "b.weight": np.array([0.5, -4.0, 3.0], dtype=np.float32)}
DERIVATIVE = {"a.weight": np.array([[-0.5, 3.0]]), "b.weight": np.array([1.0, 0.25, -2.0])}
SCORED = {
    "snip": (snip, {"a.weight": [[1.0, 3.0]], "b.weight": [0.5, 1.0, 6.0]}),
    "taylor": (taylor, {"a.weight": [[-2.0, 3.0]], "b.weight": [0.25, 4.0, -18.0]}),
    "grasp": (grasp, {"a.weight": [[-1.0, -3.0]], "b.weight": [0.5, -1.0, -6.0]}),
    "synflow": (synflow, {"a.weight": [[-1.0, 3.0]], "b.weight": [0.5, 1.0, -6.0]}),
}


@pytest.mark.parametrize("name", SCORED)
def test_scores_are_those_written_down(name):
    """`|w g|`, `w^2 s`, `w (H g)` and `|w| f`, whatever the derivative's signs."""
    criterion, expected = SCORED[name]
    found = criterion(WEIGHTS, DERIVATIVE)
    assert {layer: score.tolist() for layer, score in found.items()} == expected


def test_grasp_keeps_what_the_gradients_norm_would_miss():
    """The squared norm of the gradient of `L = w^T D w / 2` is `|D w|^2`: without weight i it falls by `d_i^2 w_i^2`."""
    curvature, weights = np.array([1.0, -2.0, 0.5, 3.0]), np.array([3.0, 1.0, -4.0, 0.5])
    norm = lambda w: float(np.sum((curvature * w) ** 2))  # noqa: E731
    falls = np.array([norm(weights) - norm(np.where(np.arange(4) == i, 0, weights)) for i in range(4)])
    known = {"weights": {"a.weight": weights}, "hot_hessian_gradient": {"a.weight": curvature * (curvature * weights)}}
    np.testing.assert_allclose(grasp(**known)["a.weight"], falls, rtol=1e-12)
    kept = prune("grasp", known, {"a.weight": np.ones(4, dtype=bool)}, 0.5, "global")["a.weight"]
    assert set(np.flatnonzero(kept)) == set(np.argsort(falls)[2:])


def test_grasp_prunes_first_what_lets_the_norm_grow():
    """Of `L = (a b - 1)^2 / 2` at a small a, b shrinks the residual: without it the gradient is another one; signs decide."""
    a, b = 0.5, 3.0
    r = a * b - 1
    gradient, hessian = np.array([r * b, r * a]), np.array([[b * b, r + a * b], [r + a * b, a * a]])
    weights = np.array([a, b])
    change = [
        np.sum(np.square(_gradient(weights * (1 - 1e-6 * (np.arange(2) == i))))) - np.sum(np.square(gradient)) for i in range(2)
    ]
    scores = grasp({"w": weights}, {"w": hessian @ gradient})["w"]
    np.testing.assert_allclose(-2e-6 * scores, change, rtol=1e-4)


def _gradient(w: np.ndarray) -> np.ndarray:
    return (w[0] * w[1] - 1) * w[::-1]


def test_taylor_ranks_as_snip_where_there_is_one_mini_batch():
    rng = numpy_generator("ranks")
    weights, gradient = ({"a": rng.standard_normal(50)} for _ in range(2))
    squared = taylor(weights, {"a": gradient["a"] ** 2})["a"]
    assert np.array_equal(np.argsort(squared), np.argsort(snip(weights, gradient)["a"]))
