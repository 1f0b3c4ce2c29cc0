"""What is measured of the landscape around a ladder: what is expected is written beside what it comes from."""

from __future__ import annotations

from typing import Any

import made_up
import pandas as pd
import pytest
from asking import ask, is_open, value
from landscape_world import ADAPTIVE, FT, LRR, MOVED, WR, Frames, world
from rewinding_world import edit

INFINITE = float("inf")
RUNS, ALONE, LINES, SETS = ("runs",), ("barriers",), ("runs", "barriers"), ("runs", "sets")
BARRIER = {"name": "level_barrier", "from_level": 1, "to_level": 4}
LIMITS, SCAN = ("limits",), ("runs", "changed_runs")

# The options of a claim, the value, and the tables that it takes. The tolerance is half a point.
EXPECTED: list[tuple[dict[str, Any], float, tuple[str, ...]]] = [
    ({"name": "matching_depth", "start": "k20"}, 3, RUNS),
    ({"name": "matching_depth", "start": "k0"}, 1, RUNS),
    ({"name": "matching_depth", "start": ADAPTIVE}, 1, SCAN),  # 90, 89 and 88 after the dense network
    ({"name": "depth_lead", "start": "k20", "against": "k10"}, 1, RUNS),
    ({"name": "start_margin", "start": "k20", "from_level": 2, "to_level": 4, "take": "highest"}, 0.5, RUNS),
    ({"name": "start_margin", "start": "k20", "from_level": 2, "to_level": 4, "take": "lowest"}, -0.5, RUNS),
    (
        {"name": "start_margin", "start": "k20 | mask | prune(0.3, random)", "from_level": 0, "to_level": 4, "take": "highest"},
        -9.5,
        SCAN,
    ),
    # Of levels 1 to 4, the first two match as the next ones do.
    (BARRIER | {"start": "k20", "take": "highest"}, 3, ALONE),
    (BARRIER | {"start": "k20", "take": "lowest"}, 0.3, ALONE),
    (BARRIER | {"start": "k20", "take": "highest", "pairs": "matching"}, 0.4, LINES),
    (BARRIER | {"start": "k20", "take": "lowest", "pairs": "others"}, 0.45, LINES),
    ({"name": "level_barrier", "start": "k20", "from_level": 0, "to_level": 0, "take": "lowest", "unit": "tolerances"}, 4, LINES),
    (BARRIER | {"start": "k20", "take": "highest", "place": "midpoint"}, 1.5, ALONE),
    ({"name": "level_barrier", "start": MOVED, "from_level": 0, "to_level": 4, "take": "highest"}, 6, ALONE),
    (BARRIER | {"start": MOVED, "take": "highest", "pairs": "matching"}, 0.9, LINES),
    ({"name": "level_barrier_lead", "start": "k20", "level": 0, "later": 1}, 1.7, ALONE),
    ({"name": "level_barrier_ratio", "start": MOVED, "against": "k20", "level": 0, "place": "midpoint"}, 3, ALONE),
    ({"name": "pair_barrier", "start": "k20", "from_level": 1, "to_level": 4}, 1.5, ALONE),
    ({"name": "pair_barrier", "start": "k20", "from_level": 1, "to_level": 4, "unit": "tolerances"}, 3, LINES),
    # Levels 1 to 3 match: 0.3, 0.4 and 0.6 points above the dense error.
    ({"name": "highest_path_error", "start": "k20", "from_level": 1, "to_level": 5}, 1.2, LINES),
    ({"name": "path_error", "start": "k20", "from_level": 1, "to_level": 4}, 0.8, ("runs", "paths")),
    # Connected without matching: level 4 from step 0, where matching ends at 1, and level 3 from step 20, where it ends.
    ({"name": "agreement", "from_level": 1, "to_level": 4, "through": 20}, 100 * 10 / 12, LINES),
    ({"name": "stray_levels", "from_level": 1, "to_level": 4, "through": 20}, 1, LINES),
    # The first that does not match is level 4, the first that is not connected to the one before level 5.
    ({"name": "break_places", "start": "k20"}, -1, LINES),
    ({"name": "break_places", "start": "k0"}, 0, LINES),
    ({"name": "break_places", "start": "k20", "from_level": 0}, 3, LINES),
    ({"name": "num_between"}, 3, ("paths",)),
    ({"name": "num_across"}, 3, ("planes",)),
    # At random, limits are 0.4, 0.27, 0.2 at level 0, half of that at 2, and none at 4: only 0.2 at level 2 is misjudged.
    ({"name": "limit_agreement", "k": 20, "criterion": "random"}, 100 * 8 / 9, (*SCAN, *LIMITS, "cuts")),
    ({"name": "beyond_limit", "k": 20, "criterion": "random"}, 1, (*SCAN, *LIMITS, "cuts")),
    # By magnitude they are 0.23 and 0.12: 0.3 at level 0 and 0.2 at level 2 match beyond them.
    ({"name": "limit_agreement", "k": 20, "criterion": "magnitude"}, 100 * 7 / 9, (*SCAN, *LIMITS, "cuts")),
    ({"name": "beyond_limit", "k": 20, "criterion": "magnitude"}, 2, (*SCAN, *LIMITS, "cuts")),
    # 30, 20 and 0 percent by magnitude, 20, 20 and 0 at random.
    ({"name": "ratio_lead", "k": 20}, 0, SCAN),
    ({"name": "num_ratios", "k": 20, "criterion": "random"}, 3, ("changed_runs",)),
    ({"name": "num_ratios", "k": 20, "criterion": "magnitude"}, 3, SCAN),
    # Apart by 1/11, at a magnitude of 2, and by 0.15, at 1.7.
    (
        {"name": "distribution_ratio", "start": LRR, "reference": FT, "against": WR, "from_level": 1, "to_level": 2},
        1 / 11 / 0.15,
        ("magnitudes",),
    ),
    ({"name": "small_share_ratio", "start": FT, "against": WR, "from_level": 1, "to_level": 2}, 0.625, ("magnitudes",)),
    ({"name": "small_share_ratio", "start": FT, "against": WR, "from_level": 1, "to_level": 3}, 1, ("magnitudes",)),
    ({"name": "quantile_ratio", "start": WR, "against": FT, "from_level": 1, "to_level": 2}, 0.4 / 0.42, ("magnitudes",)),
    ({"name": "pruned_share", "from_level": 1, "to_level": 3}, 0, ("magnitudes",)),
    ({"name": "levels_needed", "start": ADAPTIVE, "level": 5}, 7 / 3, SCAN),
    ({"name": "training_saved", "start": ADAPTIVE, "level": 5}, 100 * (5 - 7 / 3) / 6, SCAN),
    ({"name": "density_margin", "start": ADAPTIVE, "level": 5}, 11 / 3, SCAN),  # 89 twice, and 88, less 85
    ({"name": "chosen_ratio", "start": ADAPTIVE, "at": "first"}, 50, ("ratios",)),
    ({"name": "chosen_ratio", "start": ADAPTIVE, "at": "last"}, 20, ("ratios",)),
    # Half of the subspaces meet at dimensions 9 of 10, and 15 of 15; a tenth at 6.5 and 11, nine tenths at 10.7 and 19.
    ({"name": "well_transition", "take": "lowest"}, 0.9, ("wells",)),
    ({"name": "well_transition", "take": "highest"}, 1, ("wells",)),
    ({"name": "well_width"}, 40, ("wells",)),
    ({"name": "well_probability"}, 95, ("wells",)),
]  # fmt: skip
IDS = [" ".join(str(value) for value in options.values()) for options, _, _ in EXPECTED]
# Counts and predictions are of what there is, planes of one seed.
FEW_WILL_DO = {
    "num_between", "num_across", "num_ratios", "well_transition", "well_width", "well_probability",
}  # fmt: skip


@pytest.fixture(scope="module")
def frames() -> Frames:
    return world()


@pytest.mark.parametrize(("options", "expected"), [each[:2] for each in EXPECTED], ids=IDS)
def test_the_made_up_world_measures_what_was_written_into_it(frames, options, expected):
    assert value(frames, **options) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("options", "needed"), [each[::2] for each in EXPECTED], ids=IDS)
def test_only_the_tables_that_it_takes_may_not_be_missing(frames, options, needed):
    assert ask({table: frames[table] for table in needed}, **options) is not None
    for name in needed:
        assert ask({table: frame for table, frame in frames.items() if table != name}, **options) is None, name


@pytest.mark.parametrize("options", [options for options, _, needed in EXPECTED if needed != ("wells",)])
def test_tables_that_are_empty_or_lack_the_task_measure_nothing(frames, options):
    assert ask({name: frame.assign(task="other") for name, frame in frames.items()}, **options) is None
    assert ask({name: frame.iloc[:0] for name, frame in frames.items()}, **options) is None


@pytest.mark.parametrize("options", [options for options, _, needed in EXPECTED if needed != ("wells",)])
def test_two_replicates_are_too_few_for_a_mean_unless_the_claim_says_so(frames, options):
    two = {name: frame[frame["seed"] != 0] if "seed" in frame else frame for name, frame in frames.items()}
    assert (ask(two, **options) is None) == (options["name"] not in FEW_WILL_DO)
    if options["name"] not in FEW_WILL_DO:
        assert ask(two, **options, least=2) is not None


@pytest.mark.parametrize(
    "asked",
    [
        {"name": "level_barrier", "start": "k20", "from_level": 1, "to_level": 4, "take": "highest"},
        {"name": "level_barrier_trend", "start": "k20", "from_level": 1, "to_level": 4},
        {"name": "highest_path_error", "start": "k20", "from_level": 1, "to_level": 5},
        {"name": "agreement", "from_level": 1, "to_level": 4, "through": 20},
        {"name": "break_places", "start": "k20"},
    ],
    ids=lambda asked: asked["name"],
)
def test_a_pair_that_diverged_leaves_barriers_unmeasured(frames, asked):
    null = edit(frames, "barriers", "barrier", float("nan"), level_1=2, level_2=3, start="k20", seed=0)
    null = edit(null, "barriers", "max_error", float("nan"), level_1=2, level_2=3, start="k20", seed=0)
    assert ask(null, **asked) is None


def test_levels_and_rewind_steps_that_are_asked_for_have_to_be_there(frames):
    barrier = {"name": "level_barrier", "start": "k20", "from_level": 1, "to_level": 5, "take": "highest"}
    assert ask(frames, **barrier) is None
    assert ask(frames, **barrier | {"start": "k30"}) is None
    assert ask(frames, name="pair_barrier_trend", from_level=0, to_level=1, through=30) is None
    assert ask(frames, name="pair_barrier", start="k10", from_level=0, to_level=2) is None
    assert ask(frames, name="highest_path_error", start="k10", from_level=0, to_level=5) is None  # not all pairs of step 10
    assert ask(frames, name="agreement", from_level=1, to_level=5, through=20) is None
    assert ask(frames, name="quantile_ratio", start=WR, against=FT, from_level=0, to_level=2) is None
    assert ask(frames, name="pruned_share", from_level=1, to_level=4) is None
    assert ask(frames, name="levels_needed", start=ADAPTIVE, level=6) is None


def test_a_ladder_with_a_gap_or_a_diverged_run_has_no_depth(frames):
    gap = {**frames, "runs": frames["runs"][(frames["runs"]["level"] != 2) | (frames["runs"]["k"] != 20)]}
    null = edit(frames, "runs", "test_error", float("nan"), k=20, level=5, seed=0)
    for made in (gap, null):
        assert ask(made, name="matching_depth", start="k20") is None
        assert ask(made, name="level_barrier", start="k20", from_level=1, to_level=4, take="highest", pairs="matching") is None
        assert ask(made, name="level_barrier", start="k20", from_level=1, to_level=4, take="highest") is not None


def test_of_networks_that_all_match_or_do_not_there_are_no_others(frames):
    asked = {"name": "level_barrier", "start": "k20", "from_level": 1, "to_level": 4, "take": "highest"}
    good = edit(frames, "runs", "test_error", 0.1, k=20)
    assert ask(good, **asked, pairs="others") is None
    assert value(good, **asked, pairs="matching") == pytest.approx(3)
    bad = frames
    for level in range(1, 6):
        bad = edit(bad, "runs", "test_error", 0.2, k=20, level=level)
    assert ask(bad, **asked, pairs="matching") is None
    assert ask(bad, name="gap_trend", start="k20", from_level=1, to_level=5) is None
    assert value(good, name="matching_depth", start="k20") == 5


def test_a_break_on_one_side_only_is_infinitely_far_and_none_on_both_nowhere(frames):
    good = edit(frames, "runs", "test_error", 0.1, k=20)
    assert value(good, name="break_places", start="k20") == INFINITE
    flat = edit(frames, "barriers", "barrier", 0.0, start="k20")
    assert value(flat, name="break_places", start="k20") == -INFINITE
    both = edit(good, "barriers", "barrier", 0.0, start="k20")
    assert is_open(ask(both, name="break_places", start="k20"))


def test_magnitude_pruning_by_its_own_ratio_may_be_a_run_of_its_own(frames):
    own = frames["changed_runs"]
    more = own[own["start"] == "k20 | mask | prune(0.1, magnitude)"].assign(
        start="k20 | mask | prune(0.2, magnitude)", test_error=0.5
    )
    both = {**frames, "changed_runs": made_up.with_parts(pd.concat([own, more]))}
    assert value(both, name="num_ratios", k=20, criterion="magnitude") == 3
    assert value(both, name="ratio_lead", k=20) == -10  # at level 2, 10 less 20
    assert value(both, name="beyond_limit", k=20, criterion="magnitude") == 1


def test_a_cut_that_is_missing_leaves_limits_unjudged(frames):
    asked = {"name": "limit_agreement", "k": 20, "criterion": "random"}
    cuts = frames["cuts"]
    assert ask({**frames, "cuts": cuts[cuts["fraction"] != 0.3]}, **asked) is None
    assert ask(edit(frames, "cuts", "distance", float("nan"), seed=0), **asked) is None
    assert ask(edit(frames, "changed_runs", "test_error", float("nan"), seed=0), **asked) is None


def test_a_ladder_that_is_never_so_sparse_needs_infinitely_many_levels(frames):
    dense = edit(frames, "changed_runs", "density", 0.5, start=ADAPTIVE, seed=0)
    assert value(dense, name="levels_needed", start=ADAPTIVE, level=5) == INFINITE
    assert value(dense, name="training_saved", start=ADAPTIVE, level=5) == -INFINITE
    assert ask(dense, name="density_margin", start=ADAPTIVE, level=5) is None
    within = edit(frames, "changed_runs", "density", 0.8**5 * 1.04, start=ADAPTIVE, level=1)
    assert value(within, name="levels_needed", start=ADAPTIVE, level=5) == 1
