"""Each criterion's scores."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_lib.core.rng import numpy_generator
from pipeline_lib.pruning import masks
from pipeline_lib.pruning.criteria.magnitude import magnitude
from pipeline_lib.pruning.criteria.random import random
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
