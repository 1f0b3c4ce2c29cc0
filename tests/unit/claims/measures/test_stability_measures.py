"""Where networks become stable, and what happens there."""

from __future__ import annotations

from asking import ask, is_open, value
from rewinding_world import SPARSE, edit


def test_an_onset_knows_its_grid_and_asks_for_all_of_it(frames):
    found = ask(frames, name="stability_onset", kind="imp", reach=15)
    assert found is not None
    assert (found.value, found.num, found.grid) == (10, 3, (0, 10, 20))
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
    train = edit(frames, "instability", "instability", 0.0, kind="dense", level=0, split="train")
    assert value(train, name="split_onset_places", kind="dense", reach=20) == -2


def test_onsets_on_two_grids_are_not_compared(frames):
    pairs = frames["instability"]
    coarse = {**frames, "instability": pairs[(pairs["k"] != 10) | (pairs["level"] == SPARSE)]}
    assert ask(coarse, name="onset_difference", kind="imp", other="dense", reach=20) is None


def test_a_ratio_of_stable_networks_needs_networks_that_are_known_to_be_stable(frames):
    asked = {"name": "ratio_while", "of": "distance", "kind": "imp", "other": "reinit", "k": 20, "state": "stable"}
    assert ask(frames, **asked) is not None
    assert ask(frames, **asked | {"state": "unstable"}) is None
    assert ask(edit(frames, "instability", "instability", 0.5, kind="imp", level=SPARSE, k=20), **asked) is None
    unknown = edit(frames, "instability", "instability", 0.3, kind="imp", level=SPARSE, k=20, seed=1)
    assert ask(unknown, **asked) is None
    assert ask(unknown, **asked | {"state": "unstable"}) is None


def test_networks_that_match_without_being_stable_are_counted(frames):
    at_10 = edit(frames, "instability", "instability", 0.02, kind="imp", level=SPARSE, k=10)
    assert value(at_10, name="unstable_matches", kind="imp", through=20) == 1


def test_nothing_drops_at_an_onset_that_is_the_first_step_or_none_or_without_a_fall(frames):
    drop = {"name": "drop_at_onset", "of": "distance", "kind": "dense", "through": 20}
    assert ask(edit(frames, "instability", "instability", 0.0, level=0), **drop) is None
    assert ask(edit(frames, "instability", "instability", 0.5, level=0), **drop) is None
    for last in (30.0, 40.0):  # no fall to compare with
        assert is_open(ask(edit(frames, "distances", "l2_params", last, level=0, k=20), **drop))


def test_of_two_rewind_steps_the_whole_fall_is_the_mean_fall_and_says_nothing(frames):
    drop = {"name": "drop_at_onset", "of": "distance", "kind": "dense", "through": 10}
    fallen = edit(frames, "instability", "instability", 0.0, level=0, k=10)
    assert ask(fallen, **drop) is None
