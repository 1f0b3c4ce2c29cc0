from __future__ import annotations

import numpy as np
import pytest

from pipeline_lib.pruning import masks

MASK = {"a.weight": np.array([[True, False], [False, False]]), "b.weight": np.array([True, True, False, True])}
FIT = {"a.weight": np.zeros((2, 2)), "b.weight": np.zeros(4), "b.bias": np.zeros(1)}


def test_counts_and_density():
    assert masks.num_kept(MASK) == 4
    assert masks.density(MASK) == 0.5


def test_a_mask_that_fits_is_accepted():
    masks.check_fit(MASK, FIT)


def test_a_mask_of_a_tensor_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match=r"mask must fit the network, got a mask of 'b\.weight', which it lacks"):
        masks.check_fit(MASK, {"a.weight": FIT["a.weight"]})


def test_a_mask_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"mask of 'b\.weight' must have shape \(2, 2\), got \(4,\)"):
        masks.check_fit(MASK, FIT | {"b.weight": np.zeros((2, 2))})


def test_a_diverged_ladder_stays_diverged_when_its_weights_run_out():
    whole, none = {"a": np.ones(3, dtype=bool)}, {"a": np.zeros(3, dtype=bool)}
    first = masks.ended([whole, none, none], [True, False, True])
    assert first == {"diverged": [True, True, True], "empty": [False, True, False]}
    assert masks.ended([none] * 3, first["diverged"], first["empty"]) == first


def test_empty_layers_are_counted():
    assert masks.num_empty({"a": np.zeros(3, dtype=bool), "b": np.eye(2, dtype=bool), "c": np.zeros((2, 2), dtype=bool)}) == 2
