"""Measures of a small made-up world in closed form: what is expected is written out beside the numbers that it comes from."""

from __future__ import annotations

from itertools import product
from typing import Any

import pandas as pd
import pytest

from pipeline_lib import measured, measures, registry
from pipeline_lib.measured import Measured

Frames = dict[str, pd.DataFrame]

SPARSE, STEPS, SEEDS = 2, (0, 10, 20), (-1, 0, 1)
CONTROLS = ("random_prune", "reinit")

# Accuracy in percent of order 0, averaged over seeds, which are half a point apart; order 1 is 3 points better.
LADDERS: dict[tuple[str, int], list[float]] = {  # (kind, k): dense networks and levels 1 to 4
    ("imp", 0): [90, 90.5, 80, 79, 60],
    ("imp", 10): [91, 91, 89.6, 88, 70],
    ("imp", 20): [90.5, 91, 91, 89.7, 80],
    ("random_prune", 0): [0, 90, 70, 65, 60],
    ("reinit", 0): [0, 89.6, 78, 60, 61],
}
LATE = {("random_prune", 10): 71.0, ("random_prune", 20): 72.0, ("reinit", 10): 77.0, ("reinit", 20): 79.0}  # the sparse level

# Means over three pairs, one a seed, a tenth of the mean apart, at the three rewind steps.
INSTABILITY = {
    "dense": (40, 10, 1),
    "imp": (30, 1.5, 0.5),
    "random_prune": (50, 45, 60),
    "reinit": (35, 36, 37),
}
TRAIN_INSTABILITY = {**INSTABILITY, "dense": (45, 11, 0.5)}
DISTANCE = {"dense": (30, 28, 20), "imp": (20, 5.75, 5.25), "random_prune": (25, 24, 23), "reinit": (16, 20, 21)}
PATHS = {"dense": (50, 20, 11), "imp": (40, 12, 11), "random_prune": (70, 60, 65), "reinit": (55, 56, 57)}


def _run(kind: str, k: int, level: int, accuracy: float, seed: int, order: int) -> dict[str, Any]:
    who = {"task": "net", "seed": seed, "order": order, "kind": kind, "k": k, "level": level, "density": 0.8**level}
    error = 1 - (accuracy + 0.5 * seed + 3 * order) / 100
    return who | {"num_params": 123, "steps": 50, "train_error": error / 2, "test_error": error}


def _runs() -> list[dict[str, Any]]:
    rows = []
    for seed, ((kind, k), accuracies) in product(SEEDS, LADDERS.items()):
        for level, accuracy in enumerate(accuracies):
            orders = (0, 1) if level in (0, SPARSE) else (0,)
            if level or kind == "imp":
                rows += [_run(kind, k, level, accuracy, seed, order) for order in orders]
    late = product(SEEDS, LATE.items(), (0, 1))
    return rows + [_run(kind, k, SPARSE, accuracy, seed, order) for seed, ((kind, k), accuracy), order in late]


def _pair(kind: str, k: int, seed: int) -> dict[str, Any]:
    name, level = ("imp", 0) if kind == "dense" else (kind, SPARSE)
    return {"task": "net", "seed": seed, "order_1": 0, "order_2": 1, "kind": name, "k": k, "level": level}


def _lines(kind: str, place: int, seed: int) -> list[dict[str, Any]]:
    """A hump of the height of the path from alpha = 0.5 on; one with recomputed statistics is flat."""
    peak, pair = PATHS[kind][place], _pair(kind, STEPS[place], seed)
    shape = {0.0: 10.0, 0.25: peak - 5, 0.5: peak, 0.75: peak - 0.5, 1.0: 10.0}
    rows = [pair | {"alpha": a, "batchnorm": "averaged", "error": (e + seed) / 100} for a, e in shape.items()]
    rows += [pair | {"alpha": a, "batchnorm": "recomputed", "error": 0.01} for a in shape]
    return [
        row | {"split": split, "error": row["error"] / (1 + (split == "train"))} for row in rows for split in ("test", "train")
    ]


def world() -> Frames:
    """Every table, of a task whose sparse level is 2."""
    rows: dict[str, list[dict[str, Any]]] = {"runs": _runs(), "instability": [], "distances": [], "interpolation": []}
    for kind, (place, k), seed in product(INSTABILITY, enumerate(STEPS), SEEDS):
        pair = _pair(kind, k, seed)
        for split, values in (("test", INSTABILITY), ("train", TRAIN_INSTABILITY)):
            own = pair | {"split": split, "instability": values[kind][place] * (1 + seed / 10) / 100}
            rows["instability"] += [own | {"batchnorm": "averaged"}, own | {"batchnorm": "recomputed", "instability": 0.0}]
        rows["distances"].append(pair | {"l2_params": DISTANCE[kind][place] * (1 + seed / 10), "l2_weights": 1.0})
        rows["interpolation"] += _lines(kind, place, seed)
    # Followed at steps 21 to 32 all, and the earlier steps too where training began earlier.
    slopes = {0: 1.0, 10: 0.5, 20: 0.0}
    rows["throughout"] = [
        _pair("dense", k, seed)
        | {"step": step, "split": "test", "instability": (slope * step + 1 + seed) / 100, "mean_end_error": (90 - step) / 100}
        for (k, slope), seed, step in product(slopes.items(), SEEDS, range(11, 33))
        if step > k
    ]
    return {name: pd.DataFrame(found) for name, found in rows.items()}


@pytest.fixture(scope="module")
def frames() -> Frames:
    return world()


def ask(frames: Frames, name: str, **options: Any) -> Measured | None:
    """What a claim's measure says of the made-up task."""
    bound = registry.bind("measures", {"name": name, **options}, ("frames", "task", "sparse_level"), "measure")
    found: Measured | None = registry.call("measures", bound, frames=frames, task="net", sparse_level=SPARSE)
    return found


def value(frames: Frames, name: str, **options: Any) -> float:
    """The measured value, where there has to be one."""
    found = ask(frames, name, **options)
    assert found is not None
    return found.value


EXPECTED: list[tuple[dict[str, Any], float]] = [
    ({"name": "num_params"}, 123),
    ({"name": "training_steps"}, 50),
    ({"name": "density", "level": 3}, 51.2),
    ({"name": "num_pairs"}, 3),
    ({"name": "num_points"}, 5),
    ({"name": "dense_accuracy"}, 90),
    # All orders: order 1 lifts the mean by 1.5. Dense networks train to half the error.
    ({"name": "at_step", "of": "accuracy", "kind": "imp", "k": 0}, 81.5),
    ({"name": "at_step", "of": "accuracy", "kind": "dense", "k": 10}, 92.5),
    ({"name": "at_step", "of": "accuracy", "kind": "dense", "k": 10, "split": "train"}, 96.25),
    # Order 0 alone; 90 less a standard deviation of 0.5 matches.
    ({"name": "at_step", "of": "matching_margin", "kind": "imp", "k": 0}, -9.5),
    ({"name": "at_step", "of": "matching_margin", "kind": "reinit", "k": 20}, -10.5),
    ({"name": "at_step", "of": "matching_margin", "kind": "dense", "k": 20}, 1),
    ({"name": "at_step", "of": "instability", "kind": "dense", "k": 10}, 10),
    ({"name": "at_step", "of": "instability", "kind": "dense", "k": 10, "split": "train"}, 11),
    ({"name": "at_step", "of": "distance", "kind": "imp", "k": 10}, 5.75),
    ({"name": "at_step", "of": "path_peak", "kind": "dense", "k": 0}, 50),
    ({"name": "at_step", "of": "path_peak", "kind": "dense", "k": 0, "split": "train"}, 25),
    ({"name": "lowest", "of": "instability", "kind": "random_prune", "through": 20}, 45),
    ({"name": "lowest", "of": "instability", "kind": "dense", "through": 10}, 10),
    ({"name": "highest", "of": "instability", "kind": "random_prune", "through": 20}, 60),
    ({"name": "highest", "of": "instability", "kind": "random_prune", "through": 10}, 50),
    ({"name": "variation", "of": "accuracy", "kind": "dense", "through": 20}, 1),
    ({"name": "variation", "of": "path_peak", "kind": "dense", "through": 20}, 39),
    ({"name": "change", "of": "accuracy", "kind": "imp", "k": 20}, 11),
    ({"name": "change", "of": "instability", "kind": "random_prune", "k": 10}, -5),
    ({"name": "difference", "of": "accuracy", "kind": "imp", "other": "random_prune", "k": 0}, 10),
    ({"name": "difference", "of": "accuracy", "kind": "reinit", "other": "imp", "k": 20}, -12),
    ({"name": "ratio", "of": "distance", "kind": "imp", "other": "random_prune", "k": 0}, 0.8),
    ({"name": "ratio", "of": "distance", "kind": "imp", "other": "reinit", "k": 20}, 0.25),
    # 5, 1 and -0.5 points
    ({"name": "split_gap", "of": "instability", "kind": "dense", "through": 20}, 6.5 / 3),
    ({"name": "split_gap", "of": "instability", "kind": "dense", "through": 20, "size": False}, 5.5 / 3),
    ({"name": "rank_trend", "of": "instability", "kind": "dense", "through": 20}, -1),
    ({"name": "rank_trend", "of": "instability", "kind": "reinit", "through": 20}, 1),
    ({"name": "rank_trend", "of": "path_peak", "kind": "random_prune", "through": 20}, -0.5),
    # (30, 28, 20) against (0, 10, 20): covariance -100, deviations sqrt(200) and sqrt(56).
    ({"name": "linear_fall", "of": "distance", "kind": "dense", "through": 20}, -100 / (200 * 56) ** 0.5),
    # The distance is 5 + instability / 2; the ranks of random pruning are (3, 2, 1) and (2, 1, 3).
    ({"name": "relation", "of": "distance", "to": "instability", "kind": "imp", "through": 20}, 1),
    ({"name": "relation", "of": "distance", "to": "instability", "kind": "random_prune", "through": 20, "ranks": True}, -0.5),
    # Stable from 20 on: the fall is 8 there and 10 / 2 a place on average.
    ({"name": "drop_at_onset", "of": "distance", "kind": "dense", "through": 20}, 1.6),
    ({"name": "stability_onset", "kind": "dense", "reach": 20}, 20),
    ({"name": "stability_onset", "kind": "imp", "reach": 20}, 10),
    ({"name": "stability_onset", "kind": "reinit", "reach": 20}, float("inf")),
    ({"name": "onset_difference", "kind": "imp", "other": "dense", "reach": 20}, -10),
    ({"name": "onset_difference", "kind": "reinit", "other": "dense", "reach": 20}, float("inf")),
    ({"name": "split_onset_places", "kind": "dense", "reach": 20}, 0),
    ({"name": "matching_onset_places", "kind": "imp", "reach": 20}, 0),
    ({"name": "unstable_matches", "kind": "imp", "through": 20}, 0),
    ({"name": "unstable_matches", "kind": "dense", "through": 20}, 2),
    ({"name": "peak_place", "kind": "dense", "k": 0}, 0.625),
    ({"name": "throughout_highest", "k": 10}, 17),
    ({"name": "throughout_mirrors_error", "k": 0}, 1),
    ({"name": "throughout_trend", "through": 20}, -1),
    # Level 3 matches from step 20; level 4 from none.
    ({"name": "smallest_matching_density", "through": 20}, 51.2),
    # From step 0 all kinds match at level 1 and no further.
    ({"name": "levels_ahead", "k": 0, "ahead": 3}, 0),
    # IMP's best less the better control: 1, 13, 24.7 and 19 at levels 1 to 4.
    ({"name": "best_k_lead", "through": 20}, 13),
    ({"name": "best_k_lead", "through": 20, "everywhere": True}, 1),
]
IDS = [" ".join(str(value) for value in options.values()) for options, _ in EXPECTED]


@pytest.mark.parametrize(("options", "expected"), EXPECTED, ids=IDS)
def test_the_made_up_world_measures_what_was_written_into_it(frames, options, expected):
    assert value(frames, **options) == pytest.approx(expected, abs=1e-9)


def test_every_measure_is_tried():
    assert {options["name"] for options, _ in EXPECTED} == set(registry.entries("measures"))


@pytest.mark.parametrize("options", [options for options, _ in EXPECTED], ids=IDS)
def test_tables_that_are_missing_or_lack_the_task_measure_nothing(frames, options):
    assert ask({}, **options) is None
    assert ask({name: frame.assign(task="other") for name, frame in frames.items()}, **options) is None
    assert ask({name: frame.iloc[:0] for name, frame in frames.items()}, **options) is None


def _needs(options: dict[str, Any], k: int) -> bool:
    """Whether a measure is told to look at a rewind step, alone or as an end of a range that begins with 0."""
    from_0 = {"through", "reach"} & set(options) or options["name"] == "change"
    return k in [options.get(key) for key in ("k", "through", "reach")] or (k == 0 and bool(from_0))


@pytest.mark.parametrize("k", [0, 20])
@pytest.mark.parametrize("options", [options for options, _ in EXPECTED], ids=IDS)
def test_only_a_rewind_step_that_is_asked_for_can_be_missing(frames, options, k):
    without = {name: frame[frame["k"] != k] for name, frame in frames.items()}
    assert (ask(without, **options) is None) == _needs(options, k)


NO_MEANS = {"num_params", "training_steps", "density", "num_pairs", "num_points"}


@pytest.mark.parametrize("options", [options for options, _ in EXPECTED], ids=IDS)
def test_two_replicates_are_too_few_for_a_mean_unless_the_claim_says_so(frames, options):
    two = {name: frame[frame["seed"] != 1] for name, frame in frames.items()}
    two["runs"] = two["runs"][two["runs"]["order"] == 0]
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


def _edit(frames: Frames, table: str, column: str, new: float, **where: Any) -> Frames:
    """Put another value into some rows of one table."""
    frame = frames[table].copy()
    chosen = pd.Series(True, frame.index)
    for key, wanted in where.items():
        chosen &= frame[key] == wanted
    assert chosen.any()
    frame.loc[chosen, column] = new
    return {**frames, table: frame}


def _parts(found: Measured | None) -> tuple[float, float | None, int]:
    assert found is not None
    return found.value, found.spread, found.num


def test_a_mean_comes_with_its_standard_deviation_and_number(frames):
    # Seeds are half a point apart: 89.5, 90, 90.5; pairs a tenth: 36, 40, 44; six runs: 80 + (0, 3) + (-0.5, 0, 0.5).
    pairs = {"name": "at_step", "of": "instability", "kind": "dense", "k": 0}
    assert _parts(ask(frames, name="dense_accuracy")) == (pytest.approx(90), pytest.approx(0.5), 3)
    assert _parts(ask(frames, **pairs)) == (pytest.approx(40), pytest.approx(4), 3)
    runs = ask(frames, name="at_step", of="accuracy", kind="imp", k=0)
    assert _parts(runs) == (pytest.approx(81.5), pytest.approx((14.5 / 5) ** 0.5), 6)
    both = ask(frames, name="difference", of="distance", kind="imp", other="random_prune", k=0)
    assert _parts(both) == (pytest.approx(-5), pytest.approx((2**2 + 2.5**2) ** 0.5), 3)
    one = {name: frame[frame["seed"] == 0] for name, frame in frames.items()}
    assert _parts(ask(one, **pairs, least=1)) == (pytest.approx(40), None, 1)


def test_the_fewest_replicates_of_a_comparison_are_reported(frames):
    runs = frames["runs"]
    fewer = {**frames, "runs": runs[~((runs["kind"] == "reinit") & (runs["order"] == 1))]}
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
        return getattr(measures, name)(frames, "net", 0, **options)

    assert at_level_0("at_step", of="instability", kind="imp", k=0) is None
    assert at_level_0("at_step", of="matching_margin", kind="imp", k=0) is None
    assert at_level_0("at_step", of="instability", kind="dense", k=0) is not None


def test_a_level_below_a_fifth_of_a_point_of_deviation_still_matches(frames):
    runs = frames["runs"].copy()
    runs["test_error"] += 0.005 * runs["seed"]  # seeds no longer differ
    assert value({**frames, "runs": runs}, name="at_step", of="matching_margin", kind="imp", k=10) == pytest.approx(
        89.6 - (90 - 0.2)
    )


def test_runs_that_disagree_have_no_common_length(frames):
    assert ask(_edit(frames, "runs", "steps", 60, k=20), name="training_steps") is None
    assert ask(_edit(frames, "runs", "num_params", 60, k=20), name="num_params") is None


def test_the_setting_with_the_fewest_pairs_and_the_pair_with_the_fewest_points_count(frames):
    pairs, points = frames["instability"], frames["interpolation"]
    odd = (pairs["k"] == 10) & (pairs["kind"] == "reinit") & (pairs["seed"] == 1)
    assert value({**frames, "instability": pairs[~odd]}, name="num_pairs") == 2
    odd = (points["k"] == 10) & (points["kind"] == "reinit") & (points["seed"] == 1) & (points["alpha"] == 0.25)
    assert value({**frames, "interpolation": points[~odd]}, name="num_points") == 4


def test_an_onset_knows_its_grid_and_asks_for_all_of_it(frames):
    assert ask(frames, name="stability_onset", kind="imp", reach=15) == Measured(10.0, None, 3, (0.0, 10.0, 20.0))
    assert ask(frames, name="stability_onset", kind="imp", reach=21) is None


def test_one_diverged_pair_is_unstable_and_two_points_exactly_are(frames):
    null = _edit(frames, "instability", "instability", float("nan"), k=10, kind="imp", level=SPARSE, seed=1)
    assert value(null, name="stability_onset", kind="imp", reach=20) == 20
    assert ask(null, name="at_step", of="instability", kind="imp", k=10) is None
    assert ask(null, name="at_step", of="instability", kind="imp", k=20) is not None
    even = _edit(frames, "instability", "instability", 0.02, k=10, kind="imp", level=SPARSE)
    assert value(even, name="stability_onset", kind="imp", reach=20) == 20


def test_places_between_onsets(frames):
    places = {"name": "matching_onset_places", "kind": "imp", "reach": 20}
    assert value(_edit(frames, "runs", "test_error", 0.05, kind="imp", level=SPARSE, k=0), **places) == -1
    assert value(_edit(frames, "runs", "test_error", 0.5, kind="imp", level=SPARSE), **places) == float("inf")
    unstable = _edit(frames, "instability", "instability", 0.5, kind="imp", level=SPARSE)
    assert value(unstable, **places) == -float("inf")
    assert ask(_edit(unstable, "runs", "test_error", 0.5, kind="imp", level=SPARSE), **places) is None
    train = _edit(frames, "instability", "instability", 0.0, kind="imp", level=0, split="train", k=0)
    assert value(train, name="split_onset_places", kind="dense", reach=20) == -2


def test_onsets_on_two_grids_are_not_compared(frames):
    pairs = frames["instability"]
    coarse = {**frames, "instability": pairs[(pairs["k"] != 10) | (pairs["level"] == SPARSE)]}
    assert ask(coarse, name="onset_difference", kind="imp", other="dense", reach=20) is None


def test_networks_that_match_without_being_stable_are_counted(frames):
    at_10 = _edit(frames, "instability", "instability", 0.02, kind="imp", level=SPARSE, k=10)
    assert value(at_10, name="unstable_matches", kind="imp", through=20) == 1


@pytest.mark.parametrize("name", ["rank_trend", "linear_fall"])
def test_no_trend_of_two_steps_or_of_a_constant(frames, name):
    of = {"name": name, "of": "distance", "kind": "dense"}
    assert ask(frames, **of, through=10) is None
    assert ask(_edit(frames, "distances", "l2_params", 7.0), **of, through=20) is None


def test_a_line_may_be_straight_on_the_even_axis_only(frames):
    # In the places of the grid it falls by 3 each; in the steps 0, 10, 100 it is far from straight.
    late = {**frames, "distances": frames["distances"].replace({"k": {20: 100}})}
    for k, distance in ((0, 9.0), (10, 6.0), (100, 3.0)):
        late = _edit(late, "distances", "l2_params", distance, k=k, level=0)
    assert value(late, name="linear_fall", of="distance", kind="dense", through=100) == pytest.approx(-1)


def test_ties_share_their_rank():
    # Ranks (0, 1.5, 1.5, 3) against (0, 1, 2, 3): covariance 4.5, squares 4.5 and 5.
    assert _parts(measured.spearman([1, 5, 5, 9], [0, 1, 2, 3], 7)) == (pytest.approx(4.5 / (4.5 * 5) ** 0.5), None, 7)


def test_nothing_drops_at_an_onset_that_is_the_first_step_or_none_or_without_a_fall(frames):
    drop = {"name": "drop_at_onset", "of": "distance", "kind": "dense", "through": 20}
    assert ask(_edit(frames, "instability", "instability", 0.0, level=0), **drop) is None
    assert ask(_edit(frames, "instability", "instability", 0.5, level=0), **drop) is None
    for last in (30.0, 40.0):
        assert ask(_edit(frames, "distances", "l2_params", last, level=0, k=20), **drop) is None


def test_a_point_without_a_value_leaves_its_line_unmeasured(frames):
    null = _edit(frames, "interpolation", "error", float("nan"), k=0, kind="imp", level=0, alpha=0.0, seed=1)
    assert ask(null, name="at_step", of="path_peak", kind="dense", k=0) is None
    assert ask(null, name="peak_place", kind="dense", k=0) is None
    assert ask(null, name="at_step", of="path_peak", kind="dense", k=10) is not None


def test_a_rewind_step_without_a_value_leaves_its_range_unmeasured(frames):
    null = _edit(frames, "instability", "instability", float("nan"), k=10, kind="reinit", seed=1)
    for name in ("lowest", "highest", "variation", "rank_trend"):
        assert ask(null, name=name, of="instability", kind="reinit", through=20) is None
        assert ask(null, name=name, of="instability", kind="random_prune", through=20) is not None


def test_a_peak_is_that_of_the_mean_line(frames):
    # Seed 1 peaks at alpha = 0.25 with 99, the others have 45 and 44 there: 62.67 on average, above the 50 at 0.5.
    where = {"k": 0, "level": 0, "alpha": 0.25, "seed": 1, "batchnorm": "averaged", "split": "test"}
    high = _edit(frames, "interpolation", "error", 0.99, **where)
    assert value(high, name="at_step", of="path_peak", kind="dense", k=0) == pytest.approx((99 + 45 + 44) / 3)


@pytest.mark.parametrize(("name", "more"), [("highest", {"k": 0}), ("mirrors_error", {"k": 0}), ("trend", {"through": 20})])
def test_training_that_was_followed_for_nine_steps_measures_nothing(frames, name, more):
    steps = frames["throughout"]
    for last, enough in ((30, True), (29, False)):
        short = {**frames, "throughout": steps[steps["step"].between(21, last)]}
        assert (ask(short, name=f"throughout_{name}", **more) is not None) == enough


def test_growth_is_compared_over_the_steps_that_all_have(frames):
    # Copies from step 0 are nearly still at first; over all of its steps they would be the least unstable of all.
    still = _edit(frames, "throughout", "instability", -9.0, k=0, step=11)
    assert value(still, name="throughout_trend", through=20) == pytest.approx(-1)


def test_growth_is_compared_up_to_a_step_that_was_followed(frames):
    steps = frames["throughout"]
    more = {**frames, "throughout": pd.concat([steps, steps[steps["k"] == 10].assign(k=5)])}
    assert ask(more, name="throughout_trend", through=10) is not None
    assert ask(more, name="throughout_trend", through=15) is None


def test_ladders_must_be_whole_and_two_levels_deeper(frames):
    smallest = {"name": "smallest_matching_density", "through": 20}
    assert ask(frames, **smallest, beyond=3) is None
    runs = frames["runs"]
    assert ask({**frames, "runs": runs[runs["level"] != 3]}, **smallest) is None
    for level, k in product((1, 4), STEPS):
        gap = {**frames, "runs": runs[(runs["level"] != level) | (runs["k"] != k)]}
        assert ask(gap, **smallest) is None
    assert value(_edit(frames, "runs", "test_error", 0.9, level=1), **smallest) == pytest.approx(
        51.2
    )  # the sparsest one counts, whatever is above it
    for level in (1, 2, 3):
        frames = _edit(frames, "runs", "test_error", 0.9, level=level)
    assert value(frames, **smallest) == 100


def test_imp_goes_further_on_ladders_that_are_deep_enough_to_tell(frames):
    ahead = {"name": "levels_ahead", "k": 0}
    assert ask(frames, **ahead, ahead=4) is None  # controls match at level 1, and level 4 is the last
    good = frames
    for level in (2, 3, 4):
        good = _edit(good, "runs", "test_error", 0.05, kind="imp", level=level, k=0)
    assert value(good, **ahead, ahead=3) == 3
    assert value(_edit(frames, "runs", "test_error", 0.05, kind="reinit", level=3, k=0), **ahead, ahead=1) == -2


def test_leads_need_both_controls_at_every_level(frames):
    runs = frames["runs"]
    for kind, level in product(CONTROLS, (3, 4)):
        without = {**frames, "runs": runs[(runs["kind"] != kind) | (runs["level"] != level)]}
        assert ask(without, name="best_k_lead", through=20) is None
        assert ask(without, name="levels_ahead", k=0, ahead=1) is None
