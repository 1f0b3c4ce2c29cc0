"""Where networks become stable, and what happens there."""

from __future__ import annotations

from rewinding_world import SPARSE, ask, edit, value

from pipeline_lib.claims.evidence import Measured


def test_an_onset_knows_its_grid_and_asks_for_all_of_it(frames):
    assert ask(frames, name="stability_onset", kind="imp", reach=15) == Measured(10.0, None, 3, (0.0, 10.0, 20.0))
    assert ask(frames, name="stability_onset", kind="imp", reach=21) is None


def test_one_diverged_pair_is_unstable_and_two_points_exactly_are(frames):
    null = edit(frames, "instability", "instability", float("nan"), k=10, kind="imp", level=SPARSE, seed=1)
    assert value(null, name="stability_onset", kind="imp", reach=20) == 20
    assert ask(null, name="at_step", of="instability", kind="imp", k=10) is None
    assert ask(null, name="at_step", of="instability", kind="imp", k=20) is not None
    even = edit(frames, "instability", "instability", 0.02, k=10, kind="imp", level=SPARSE)
    assert value(even, name="stability_onset", kind="imp", reach=20) == 20


def test_places_between_onsets(frames):
    places = {"name": "matching_onset_places", "kind": "imp", "reach": 20}
    assert value(edit(frames, "runs", "test_error", 0.05, kind="imp", level=SPARSE, k=0), **places) == -1
    assert value(edit(frames, "runs", "test_error", 0.5, kind="imp", level=SPARSE), **places) == float("inf")
    unstable = edit(frames, "instability", "instability", 0.5, kind="imp", level=SPARSE)
    assert value(unstable, **places) == -float("inf")
    assert ask(edit(unstable, "runs", "test_error", 0.5, kind="imp", level=SPARSE), **places) is None
    train = edit(frames, "instability", "instability", 0.0, kind="dense", level=0, split="train", k=0)
    assert value(train, name="split_onset_places", kind="dense", reach=20) == 0  # a later step is not stable
    train = edit(train, "instability", "instability", 0.0, kind="dense", level=0, split="train", k=10)
    assert value(train, name="split_onset_places", kind="dense", reach=20) == -2


def test_onsets_on_two_grids_are_not_compared(frames):
    pairs = frames["instability"]
    coarse = {**frames, "instability": pairs[(pairs["k"] != 10) | (pairs["level"] == SPARSE)]}
    assert ask(coarse, name="onset_difference", kind="imp", other="dense", reach=20) is None


def test_networks_that_match_without_being_stable_are_counted(frames):
    at_10 = edit(frames, "instability", "instability", 0.02, kind="imp", level=SPARSE, k=10)
    assert value(at_10, name="unstable_matches", kind="imp", through=20) == 1


def test_nothing_drops_at_an_onset_that_is_the_first_step_or_none_or_without_a_fall(frames):
    drop = {"name": "drop_at_onset", "of": "distance", "kind": "dense", "through": 20}
    assert ask(edit(frames, "instability", "instability", 0.0, level=0), **drop) is None
    assert ask(edit(frames, "instability", "instability", 0.5, level=0), **drop) is None
    for last in (30.0, 40.0):
        assert ask(edit(frames, "distances", "l2_params", last, level=0, k=20), **drop) is None
