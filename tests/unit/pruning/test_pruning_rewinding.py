from __future__ import annotations

import numpy as np
import pytest
import toys

from pipeline_lib.pruning.rewinding import rewind

NETWORK = toys.norm_net()
STATE = {name: tensor.numpy() for name, tensor in toys.start(NETWORK).params.items()}
MASK = toys.random_mask(NETWORK)


def test_a_masked_start_is_the_state_times_the_mask():
    start = rewind(STATE, MASK)
    assert list(start) == list(STATE)
    for name, tensor in STATE.items():
        expected = tensor * MASK[name] if name in MASK else tensor
        assert start[name].dtype == tensor.dtype
        np.testing.assert_array_equal(start[name], expected)


def test_biases_and_norms_are_the_very_arrays_of_the_state():
    start = rewind(STATE, MASK)
    untouched = [name for name in STATE if name not in MASK]
    assert untouched == ["body.bn.weight", "body.bn.bias", "body.fc.bias"]
    assert all(start[name] is STATE[name] for name in untouched)


def test_pruned_entries_are_zero_even_where_the_state_is_not_finite():
    start = rewind({"w": np.array([np.nan, np.inf, 2.0])}, {"w": np.array([False, False, True])})
    assert start["w"].tolist() == [0.0, 0.0, 2.0]


def test_the_state_is_not_changed():
    before = {name: tensor.copy() for name, tensor in STATE.items()}
    rewind(STATE, MASK)
    assert all(np.array_equal(before[name], STATE[name]) for name in STATE)


def test_a_mask_of_another_network_is_refused():
    with pytest.raises(ValueError, match=r"got a mask of 'stem\.fc1\.weight', which it lacks"):
        rewind(STATE, toys.random_mask(toys.dense_net()))
