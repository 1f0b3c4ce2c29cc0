from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_lib.core.definitions import STABLE_BELOW
from pipeline_lib.planning.refinement import next_step, refined


def _stable(means):
    return {k: mean < STABLE_BELOW for k, mean in means.items()}


@pytest.mark.parametrize(
    ("means", "until", "expected"),
    [
        ({0: 0.3, 100: 0.001}, 0.1, 50),
        ({0: 0.3, 50: 0.2, 100: 0.001}, 0.1, 75),
        ({0: 0.3, 90: 0.2, 100: 0.001}, 0.1, None),  # the gap is a tenth
        ({0: 0.3, 89: 0.2, 100: 0.001}, 0.1, 94),
        ({0: 0.3, 1: 0.001}, 0.1, None),  # nothing lies between
        ({0: 0.001, 100: 0.0}, 0.1, None),  # stable from the start
        ({0: 0.3, 100: 0.2}, 0.1, None),  # never stable
        ({0: 0.3, 50: 0.01, 100: 0.3, 200: 0.0}, 0.1, 150),  # a stable step before an unstable one does not count
        ({0: 0.3, 50: float("nan"), 100: 0.0}, 0.1, 75),
        ({0: 0.3, 100: 0.02}, 0.1, None),  # two points exactly are not stable
        ({0: 0.5, 100: 0.019, 250: 0.03, 500: 0.01, 2000: 0.0}, 0.1, 375),  # where `onsets` says 500, not 100
    ],
)
def test_the_next_step_halves_the_gap(means, until, expected):
    assert next_step(_stable(means), until) == expected


@given(st.integers(1, 5000), st.sampled_from([0.02, 0.1, 0.5]))
def test_rounds_end_with_the_onset_between_two_near_steps(onset, until):
    means = {0: 0.5, 5000: 0.0}
    for _ in range(14):
        step = next_step(_stable(means), until)
        if step is None:
            break
        assert step not in means
        means[step] = 0.0 if step >= onset else 0.5
    last, first = max(k for k in means if means[k]), min(k for k in means if not means[k])
    assert last < onset <= first
    assert first - last <= max(1, until * first)


def test_grids_grow_only_where_another_round_is_needed():
    row = {"split": "test", "batchnorm": "averaged", "kind": "dense", "level": 0}
    values = {"a": {0: 0.3, 100: 0.0}, "b": {0: 0.0, 100: 0.0}, "c": {0: 0.3, 100: 0.0}}
    rows = [row | {"task": t, "k": k, "stable": v < 0.02} for t, each in values.items() for k, v in each.items()]
    others = [{"split": "train"}, {"batchnorm": "recomputed"}, {"kind": "reinit"}, {"level": 3}]
    rows += [row | {"task": "b", "k": 0, "stable": False} | other for other in others]
    grids = {"a": (0, 100), "b": (0, 100), "d": (0, 100)}
    assert refined(pd.DataFrame(rows), grids, 0, 0.1) == {"a": [0, 50, 100]}
