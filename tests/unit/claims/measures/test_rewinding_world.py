"""Every measure of rewind steps and ladders in the made-up world: what is expected is written beside what it comes from."""

from __future__ import annotations

from typing import Any

import pytest
from asking import ask, value
from rewinding_world import EXPECTED

IDS = [" ".join(str(value) for value in options.values()) for options, _ in EXPECTED]


@pytest.mark.parametrize(("options", "expected"), EXPECTED, ids=IDS)
def test_the_made_up_world_measures_what_was_written_into_it(frames, options, expected):
    assert value(frames, **options) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("options", [options for options, _ in EXPECTED], ids=IDS)
def test_tables_that_are_missing_or_lack_the_task_measure_nothing(frames, options):
    assert ask({}, **options) is None
    assert ask({name: frame.assign(task="other") for name, frame in frames.items()}, **options) is None
    assert ask({name: frame.iloc[:0] for name, frame in frames.items()}, **options) is None


def _needs(options: dict[str, Any], k: int) -> bool:
    """Whether a measure is told to look at a rewind step, alone or as an end of a range that begins with 0."""
    from_0 = {"through", "reach"} & set(options) or options["name"] in ("change", "late_gain_share")
    return k in [options.get(key) for key in ("k", "through", "reach", "from_k", "to_k", "later")] or (k == 0 and bool(from_0))


@pytest.mark.parametrize("k", [0, 20])
@pytest.mark.parametrize("options", [options for options, _ in EXPECTED], ids=IDS)
def test_only_a_rewind_step_that_is_asked_for_can_be_missing(frames, options, k):
    without = {name: frame[frame["k"] != k] for name, frame in frames.items()}
    assert (ask(without, **options) is None) == _needs(options, k)


NO_MEANS = {"num_params", "training_steps", "density", "num_pairs", "num_points", "num_seeds"}


@pytest.mark.parametrize("options", [options for options, _ in EXPECTED], ids=IDS)
def test_two_replicates_are_too_few_for_a_mean_unless_the_claim_says_so(frames, options):
    two = {name: frame[frame["seed"] != 1] for name, frame in frames.items()}
    two["runs"] = two["runs"][two["runs"]["noise_order"] == 0]
    assert (ask(two, **options) is None) == (options["name"] not in NO_MEANS)
    if options["name"] not in NO_MEANS:
        assert ask(two, **options, least=2) is not None


@pytest.mark.parametrize("options", [options for options, _ in EXPECTED], ids=IDS)
def test_a_seed_that_diverged_leaves_means_unmeasured_and_is_not_stable(frames, options):
    null = {name: frame.copy() for name, frame in frames.items()}
    for frame in null.values():
        values = [c for c in ("test_error", "train_error", "instability", "mean_end_error", "l2_params", "error") if c in frame]
        frame.loc[(frame["seed"] == 0) & (frame.get("step", 32) == 32), values] = float("nan")
    found = ask(null, **options)
    if options["name"] == "stability_onset":
        assert found is not None
        assert found.value == float("inf")
    else:
        assert (found is None) == (options["name"] not in NO_MEANS)
