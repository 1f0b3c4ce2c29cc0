"""Means at rewind steps, their trends, and what is followed throughout training."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from asking import ask, value
from rewinding_world import EXPECTED, edit

from pipeline_lib.claims.evidence import Measured


def test_the_fewest_replicates_of_a_comparison_are_reported(frames):
    runs = frames["runs"]
    fewer = {**frames, "runs": runs[~((runs["kind"] == "reinit") & (runs["noise_order"] == 1))]}
    found = ask(fewer, name="difference", of="accuracy", kind="imp", other="reinit", k=0)
    assert found is not None
    assert (found.value, found.num) == (pytest.approx(81.5 - 78), 3)


def test_without_a_column_of_statistics_all_rows_are_averaged_ones(frames):
    plain = {
        name: frame[frame["batchnorm"] == "averaged"].drop(columns="batchnorm") if "batchnorm" in frame else frame
        for name, frame in frames.items()
    }
    for options, expected in EXPECTED:
        assert value(plain, **options) == pytest.approx(expected, abs=1e-9)


def test_a_task_without_sparse_networks_measures_none(frames):
    def at_level_0(name: str, **options: Any) -> Measured | None:
        return ask(frames, name, sparse=0, **options)

    assert at_level_0("at_step", of="instability", kind="imp", k=0) is None
    assert at_level_0("at_step", of="matching_margin", kind="imp", k=0) is None
    assert at_level_0("at_step", of="instability", kind="dense", k=0) is not None


def test_runs_that_disagree_have_no_common_length(frames):
    assert ask(edit(frames, "runs", "steps", 60, k=20), name="training_steps") is None
    assert ask(edit(frames, "runs", "num_params", 60, k=20), name="num_params") is None


def test_the_setting_with_the_fewest_pairs_and_the_pair_with_the_fewest_points_count(frames):
    pairs, points = frames["instability"], frames["interpolation"]
    odd = (pairs["k"] == 10) & (pairs["kind"] == "reinit") & (pairs["seed"] == 1)
    assert value({**frames, "instability": pairs[~odd]}, name="num_pairs") == 2
    odd = (points["k"] == 10) & (points["kind"] == "reinit") & (points["seed"] == 1) & (points["alpha"] == 0.25)
    assert value({**frames, "interpolation": points[~odd]}, name="num_points") == 4


def test_a_line_may_be_straight_on_the_even_axis_only(frames):
    # In the places of the grid it falls by 3 each; in the steps 0, 10, 100 it is far from straight.
    late = {**frames, "distances": frames["distances"].replace({"k": {20: 100}})}
    for k, distance in ((0, 9.0), (10, 6.0), (100, 3.0)):
        late = edit(late, "distances", "l2_params", distance, k=k, level=0)
    assert value(late, name="linear_fall", of="distance", kind="dense", through=100) == pytest.approx(-1)


def test_a_point_without_a_value_leaves_its_line_unmeasured(frames):
    null = edit(frames, "interpolation", "error", float("nan"), k=0, kind="dense", level=0, alpha=0.0, seed=1)
    assert ask(null, name="at_step", of="path_peak", kind="dense", k=0) is None
    assert ask(null, name="peak_place", kind="dense", k=0) is None
    assert ask(null, name="at_step", of="path_peak", kind="dense", k=10) is not None


def test_a_rewind_step_without_a_value_leaves_its_range_unmeasured(frames):
    null = edit(frames, "instability", "instability", float("nan"), k=10, kind="reinit", seed=1)
    for name in ("lowest", "highest", "variation", "rank_trend"):
        assert ask(null, name=name, of="instability", kind="reinit", through=20) is None
        assert ask(null, name=name, of="instability", kind="random_prune", through=20) is not None


@pytest.mark.parametrize(("name", "more"), [("highest", {"k": 0}), ("mirrors_error", {"k": 0}), ("trend", {"through": 20})])
def test_training_that_was_followed_for_nine_steps_measures_nothing(frames, name, more):
    steps = frames["throughout"]
    for last, enough in ((30, True), (29, False)):
        short = {**frames, "throughout": steps[steps["step"].between(21, last)]}
        assert (ask(short, name=f"throughout_{name}", **more) is not None) == enough


def test_growth_is_compared_up_to_a_step_that_was_followed(frames):
    steps = frames["throughout"]
    more = {**frames, "throughout": pd.concat([steps, steps[steps["k"] == 10].assign(k=5)])}
    assert ask(more, name="throughout_trend", through=10) is not None
    assert ask(more, name="throughout_trend", through=15) is None
