from __future__ import annotations

import math
from typing import Any

import made_up
import numpy as np
import pandas as pd
import pytest

from pipeline_lib.core import registry
from pipeline_lib.planning import declared
from pipeline_lib.tables import tabulation
from pipeline_lib.tables.derived import _resampling, early, stability


def _pairs(values: dict[tuple[int, int], list[float]], **more: Any) -> pd.DataFrame:
    """Rows from (k, seed) -> instabilities of its pairs."""
    who = {
        "task": "toy",
        "kind": "dense",
        "level": 0,
        "density": 1.0,
        "split": "test",
        "batchnorm": "averaged",
        "headroom": 0.8,
    } | more
    orders = [{"order_1": 0, "order_2": 1}, {"order_1": 0, "order_2": 2}, {"order_1": 1, "order_2": 2}]
    return pd.DataFrame(
        [
            who | {"k": k, "seed": s, "instability": v} | o
            for (k, s), each in values.items()
            for v, o in zip(each, orders, strict=False)
        ]
    )


def _runs(errors: dict[tuple[int, int, int], float]) -> pd.DataFrame:
    """Rows from (level, k, seed) -> test error."""
    who = {"task": "toy", "kind": "imp", "noise_order": 0}
    return made_up.table([who | {"level": lv, "k": k, "seed": s, "test_error": e} for (lv, k, s), e in errors.items()])


NO_RUNS = _runs({(0, 0, 0): 0.1})


def test_means_in_closed_form():
    rows = stability.means({"instability": _pairs({(0, 0): [0.1, 0.3], (0, 1): [0.4, 0.6]})}, {})
    row = rows[0]
    assert (row["num_pairs"], row["num_seeds"], row["k"], row["split"]) == (4, 2, 0, "test")
    assert row["instability"] == pytest.approx(0.35)
    deviation = (sum((v - 0.35) ** 2 for v in (0.1, 0.3, 0.4, 0.6)) / 3) ** 0.5
    assert row["deviation"] == pytest.approx(deviation)
    assert row["error"] == pytest.approx(deviation / 2)
    assert row["seed_error"] == pytest.approx(0.15)  # seeds' means are 0.2 and 0.5


def test_each_setting_has_its_own_mean():
    both = pd.concat([_pairs({(0, 0): [0.1]}), _pairs({(0, 0): [0.3]}, batchnorm="recomputed"), _pairs({(5, 0): [0.2]})])
    rows = stability.means({"instability": both}, {})
    assert {(r["k"], r["batchnorm"]): r["instability"] for r in rows} == {
        (0, "averaged"): 0.1, (0, "recomputed"): 0.3, (5, "averaged"): 0.2,
    }  # fmt: skip


def test_a_diverged_pair_leaves_no_mean_and_no_errors_of_the_others():
    """Nine pairs, one of which diverged, had the deviation of eight divided by three."""
    values = {(0, s): [0.1, 0.2, float("nan") if s == 2 else 0.3] for s in range(3)}
    (row,) = stability.means({"instability": _pairs(values)}, {})
    assert all(math.isnan(row[name]) for name in ("instability", "deviation", "error", "seed_error"))
    assert (row["num_pairs"], row["num_known"], row["stable"]) == (9, 8, False)


def test_means_with_and_without_the_ladders_own_run():
    (row,) = stability.means({"instability": _pairs({(0, s): [0.1, 0.2, 0.6] for s in (0, 1)})}, {})
    assert (row["with_own"], row["without_own"]) == (pytest.approx(0.15), pytest.approx(0.6))
    (row,) = stability.means({"instability": _pairs({(0, 0): [0.1]})}, {})
    assert math.isnan(row["without_own"])


def test_means_say_how_much_instability_could_be():
    (row,) = stability.means({"instability": _pairs({(0, 0): [0.01, 0.02]}, headroom=0.3)}, {})
    assert (row["headroom"], row["headroom_share"], row["stable"]) == (pytest.approx(0.3), pytest.approx(0.05), True)
    (row,) = stability.means({"instability": _pairs({(0, 0): [0.0075]}, headroom=0.0)}, {})
    assert (row["headroom_share"], row["stable"]) == (None, False)


def _stability(pairs: pd.DataFrame) -> dict[str, Any]:
    rows = [row for row in stability.onsets({"instability": pairs, "runs": NO_RUNS}, {}) if row["of"] == "stability"]
    assert len(rows) == 1
    return rows[0]


def test_seeds_that_agree_leave_no_doubt():
    found = _stability(_pairs({(k, s): [0.3 if k < 10 else 0.001] for k in (0, 5, 10, 20) for s in range(4)}))
    assert (found["k"], found["low"], found["high"], found["found"], found["num_seeds"]) == (10, 10, 10, 1.0, 4)


def test_the_interval_covers_what_resampling_of_seeds_can_give():
    """Seed 0 is stable from 5 on, seed 1 from 20 on: samples of one seed alone have these, mixed ones the later."""
    values = {(k, s): [0.0 if k >= onset else 0.5] for s, onset in ((0, 5), (1, 20)) for k in (0, 5, 10, 20)}
    found = _stability(_pairs(values))
    assert (found["k"], found["low"], found["high"]) == (20, 5, 20)


def test_an_onset_beyond_the_grid_is_null():
    found = _stability(_pairs({(k, s): [0.5] for k in (0, 9) for s in (0, 1)}))
    assert (found["k"], found["low"], found["high"], found["found"]) == (None, None, None, 0.0)


def test_some_samples_may_have_an_onset_where_the_mean_has_none():
    found = _stability(_pairs({(0, 0): [0.5], (0, 1): [0.5], (9, 0): [0.0], (9, 1): [0.5]}))
    assert (found["k"], found["low"], found["high"]) == (None, 9, None)
    assert 0.15 < found["found"] < 0.35  # a quarter of the samples holds seed 0 alone


def test_networks_at_chance_have_no_onset():
    """Both ends at 92 % error, instability 0.75 points: it read stable from k = 0 with certainty."""
    pairs = _pairs({(k, s): [0.0075] for k in (0, 50) for s in range(3)}, headroom=0.0)
    found = _stability(pairs)
    assert (found["k"], found["first_k"], found["found"]) == (None, None, 0.0)


def test_an_onset_has_both_readings_and_the_grids_resolution():
    values = {0: 0.5, 100: 0.019, 250: 0.03, 500: 0.01, 2000: 0.0}
    found = _stability(_pairs({(k, s): [v] for k, v in values.items() for s in range(3)}))
    assert (found["k"], found["first_k"], found["before"]) == (500, 100, 250)
    assert _stability(_pairs({(0, 0): [0.0], (9, 0): [0.0]}))["before"] is None
    assert _stability(_pairs({(0, 0): [0.5], (9, 0): [0.5]}))["before"] == 9


def test_an_interval_of_few_seeds_is_named_their_range():
    values = {(k, s): [0.0 if k >= 5 * s else 0.5] for s in range(5) for k in (0, 5, 10, 15, 20)}
    few = _stability(_pairs({(k, s): v for (k, s), v in values.items() if s < 4}))
    assert (few["low"], few["high"], few["interval"]) == (0, 15, "range over seeds")
    found = _stability(_pairs(values))
    assert found["interval"] == "95 % bootstrap"
    # The onset of a resample is its latest seed's. All five come from seeds 0 and 1 in (2 / 5) ** 5 = 1 % of resamples.
    assert (found["low"], found["high"]) == (10, 20)


def test_all_resamples_of_few_seeds_count_by_their_probability():
    for num in (1, 3, 5, 7):
        samples, probabilities = _resampling.resamples(num)
        assert probabilities.sum() == pytest.approx(1)
        assert len(samples) == math.comb(2 * num - 1, num)
        assert probabilities[(samples == 0).all(1)].tolist() == pytest.approx([num**-num])
    assert _resampling.resamples(8, "a")[0].shape == (1000, 8)


def test_seeds_of_dense_and_sparse_networks_are_resampled_together():
    """Each sparse network is 0.1 points worse than its own dense one, so that every resample matches."""
    dense = {(0, 0, s): error for s, error in enumerate((0.08, 0.09, 0.10))}
    sparse = {(1, k, s): error + 0.001 for (_, _, s), error in dense.items() for k in (0, 5)}
    rows = stability.onsets({"instability": _pairs({(0, 0): [0.0]}), "runs": _runs(dense | sparse)}, {})
    (found,) = [row for row in rows if row["of"] == "matching"]
    assert (found["k"], found["low"], found["high"], found["found"]) == (0, 0, 0, 1.0)


def test_a_seed_without_values_is_never_stable():
    assert _stability(_pairs({(0, 0): [0.001], (0, 1): [float("nan")], (9, 0): [0.001], (9, 1): [0.001]}))["k"] == 9


def test_the_bootstrap_is_the_same_every_time():
    pairs = _pairs({(k, s): [0.01 * s + 0.001 * k] for k in (0, 9) for s in range(5)})
    assert _stability(pairs) == _stability(pairs)


def test_train_and_recomputed_rows_have_no_part_in_onsets():
    test = _pairs({(0, 0): [0.5], (9, 0): [0.0]})
    others = [_pairs({(0, 0): [0.0]}, split="train"), _pairs({(0, 0): [0.0]}, batchnorm="recomputed")]
    assert _stability(pd.concat([test, *others]))["k"] == 9


def _matching(errors: dict[tuple[int, int, int], float]) -> dict[int, int | None]:
    rows = stability.onsets({"instability": _pairs({(0, 0): [0.0]}), "runs": _runs(errors)}, {})
    return {row["level"]: row["k"] for row in rows if row["of"] == "matching"}


def test_matching_is_within_a_deviation_of_dense():
    dense = {(0, 0, 0): 0.10, (0, 0, 1): 0.14, (0, 5, 0): 0.5, (0, 5, 1): 0.5}  # mean 0.12, sd 0.0283 at the first k
    sparse = {(1, 0, s): 0.149 for s in (0, 1)} | {(1, 5, s): 0.148 for s in (0, 1)}
    assert _matching(dense | sparse) == {1: 5}


def test_matching_is_within_two_tenths_of_a_point_where_dense_hardly_varies():
    dense = {(0, 0, 0): 0.1, (0, 0, 1): 0.1}
    sparse = {(1, 0, s): 0.1021 for s in (0, 1)} | {(1, 5, s): 0.1019 for s in (0, 1)}
    assert _matching(dense | sparse) == {1: 5}
    assert _matching(dense | {(2, 0, 0): 0.2, (2, 0, 1): 0.2}) == {2: None}


def _task(**more: Any) -> dict[str, Any]:
    parts = {"network": {"name": "mlp"}, "dataset": {"name": "mnist"}, "optimiser": {"name": "adam", "lr": 0.0012}}
    return parts | {"schedule": {"name": "constant", "warmup": 0}, "steps": 24_000, "batch_size": 60} | more


def test_networks_lists_recipes_and_dense_accuracy():
    runs = _runs({(0, 0, 0): 0.02, (0, 0, 1): 0.03, (0, 9, 0): 0.5, (1, 0, 0): 0.9}).assign(
        num_params=266_610, density=1.0, num_kept=266_200
    )
    runs.loc[runs["level"] == 1, ["density", "num_kept"]] = (0.8, 0.8 * 266_200)
    spec = {"tasks": {"toy": _task()}, "sparse_levels": {"toy": 1}, "pruning": {"toy": "iterative"}}
    errors = [(0, 6_000, 0.5), (0, 20_000, 0.01), (0, 24_000, 0.02), (1, 20_000, 0.05), (1, 24_000, 0.03)]
    who = {"task": "toy", "kind": "dense", "k": 0, "noise_order": 0, "split": "test"}
    curves = pd.DataFrame([who | {"seed": seed, "step": step, "error": error} for seed, step, error in errors])
    (row,) = stability.networks({"runs": runs, "curves": pd.concat([curves, curves.assign(split="batch", error=0)])}, spec)
    assert (row["late_accuracy"], row["best_accuracy"]) == (pytest.approx(1 - (0.015 + 0.04) / 2), pytest.approx(0.98))
    assert (row["late_sd"], row["best_sd"]) == (pytest.approx(0.025 / 2**0.5), pytest.approx(0.02 / 2**0.5))
    assert row["accuracy"] == pytest.approx(0.975)
    assert row["accuracy_sd"] == pytest.approx(0.005 * 2**0.5)
    assert (row["num_seeds"], row["density"], row["lr"], row["steps"]) == (2, pytest.approx(0.8), 0.0012, 24_000)
    assert row["density_all"] == pytest.approx((0.8 * 266_200 + 410) / 266_610)
    dense = stability.networks({"runs": runs[runs["level"] == 0]}, spec | {"sparse_levels": {"toy": 0}})
    assert dense[0]["density"] is None


def _perturbed(deviations: list[float], slope: float = -0.5, seeds: int = 2) -> dict[str, pd.DataFrame]:
    """Perturbations whose accuracy falls with their size, up to a kink that keeps the correlation from being perfect."""
    rows: list[dict[str, Any]] = []
    for i, deviation in enumerate(deviations):
        for seed in range(seeds):
            who = {"task": "toy", "kind": "imp", "start": f"k5 | noise({i + 1})", "k": 5, "level": 1, "seed": seed}
            rows.append(who | {"deviation": deviation + 0.01 * seed, "test_error": -slope * deviation + 0.1 * (i == 0)})
    frame = made_up.with_parts(pd.DataFrame(rows))
    return {"perturbations": frame.assign(layer="all"), "changed_runs": frame.drop(columns="deviation")}


def _telemetry(seeds: int = 2) -> pd.DataFrame:
    """Training whose gradient falls to a minimum at step 200 and rises again, and whose accuracy is 0.1 % a step."""
    steps = [*range(0, 50), *range(50, 1001, 10)]
    rows = [
        {"task": "toy", "seed": seed, "step": step, "test_error": 1 - step / 1000 if step % 10 == 0 else None}
        | {"mean_magnitude": 1.0, "signs_changed": step / 4000}
        | {"gradient_norm": 9.0 if step < 10 else 1 + abs(step - 200) / 800 if step < 600 else 1.5}
        for seed in range(seeds)
        for step in steps
    ]
    return pd.DataFrame(rows)


def test_a_correlation_is_that_of_mean_size_and_mean_accuracy():
    frames = _perturbed([0.1, 0.2, 0.4, 0.8])
    rows = early.correlations(frames, {})
    sizes = frames["perturbations"].groupby("start")["deviation"].mean()
    accuracy = 1 - frames["changed_runs"].groupby("start")["test_error"].mean()
    expected = np.corrcoef(sizes, accuracy)[0, 1]
    assert {row["set"]: row["num_perturbations"] for row in rows} == {"paper": 3, "all": 4}  # noise(4) is not in the paper
    (whole,) = [row for row in rows if row["set"] == "all"]
    assert (whole["r"], whole["num_seeds"]) == (pytest.approx(expected), 2)
    t = expected * (2 / (1 - expected**2)) ** 0.5  # two degrees of freedom: p has a closed form
    assert whole["p"] == pytest.approx(1 - abs(t) / (2 + t**2) ** 0.5)
    assert -1 <= whole["low"] <= whole["r"] <= whole["high"] <= 1


def test_a_correlation_needs_three_perturbations():
    assert early.correlations(_perturbed([0.1, 0.2]), {}) == []


def test_starts_that_are_measured_and_not_trained_have_no_correlation():
    frames = _perturbed([0.1, 0.2, 0.4])
    frames["changed_runs"] = frames["changed_runs"].iloc[:0]
    assert early.correlations(frames, {}) == []


def _renamed(change: str) -> dict[str, pd.DataFrame]:
    """Three perturbations, the last of which stands for another change."""
    frames = _perturbed([0.1, 0.2, 0.4])
    renamed = {"start": {"k5 | noise(3)": f"k5 | {change}"}}
    return {name: made_up.with_parts(frame.replace(renamed)) for name, frame in frames.items()}


def test_several_perturbations_in_a_row_are_one_point_at_the_size_of_all():
    (row,) = early.correlations(_renamed("noise(3) | shuffle(layer)"), {})
    assert (row["set"], row["num_perturbations"]) == ("all", 3)


@pytest.mark.parametrize("change", ["rotation(false) for 2ep | mask | noise(3)", "noise(3) | lr_rewinding"])
def test_what_is_taught_or_retrained_otherwise_is_no_point(change):
    assert early.correlations(_renamed(change), {}) == []


WATCHED = {"tasks": {"toy": {"steps": 1000}}}


def test_events_are_read_off_the_telemetry():
    events = {row["event"]: row["step"] for row in early.timeline({"telemetry": _telemetry()}, WATCHED)}
    assert events["test accuracy 25 %"] == 250
    assert events["test accuracy 90 %"] == 900
    assert events["gradient minimum"] == pytest.approx(200, abs=12)
    assert 8 <= events["gradients no longer large"] <= 12
    assert 450 <= events["gradients settled"] <= 600
    assert events["half of the sign changes"] == 500


def test_an_event_that_does_not_happen_has_no_step():
    frame = _telemetry()
    rows = early.timeline({"telemetry": frame[frame["step"] < 500]}, WATCHED)
    (row,) = [row for row in rows if row["event"] == "test accuracy 75 %"]
    assert (row["step"], row["low"], row["high"], row["num_seeds"]) == (None, None, None, 2)


def test_a_diverged_seed_has_no_events():
    frame = _telemetry(3)
    frame.loc[frame["seed"] == 2, ["mean_magnitude", "signs_changed", "gradient_norm", "test_error"]] = None
    rows = early.timeline({"telemetry": frame}, WATCHED)
    assert {row["num_seeds"] for row in rows} == {2}


def test_onsets_and_curvature_are_on_the_timeline_where_they_were_measured():
    onset = {"task": "toy", "kind": "dense", "level": 0, "of": "stability", "k": 50, "low": 20, "high": None, "num_seeds": 3}
    curvature = pd.DataFrame([{"task": "toy", "seed": 0, "step": s, "overlap": o} for s, o in ((0, 0.1), (10, 0.6), (20, 0.9))])
    frames = {"telemetry": _telemetry(), "onsets": pd.DataFrame([onset]), "curvature": curvature}
    rows = {row["event"]: row for row in early.timeline(frames, WATCHED)}
    stable = rows["dense networks stable"]
    assert (stable["step"], stable["low"], stable["high"], stable["num_seeds"]) == (50, 20, None, 3)
    assert rows["half of the gradient in the top subspace"]["step"] == 10


def _overlaps(values: dict[int, float | None]) -> pd.DataFrame:
    return pd.DataFrame([{"task": "toy", "seed": 0, "step": step, "overlap": value} for step, value in values.items()])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({0: None, 10: None, 20: 0.8}, (None, 0)),  # it was .80 at step 0: "step 20, open end" is not known
        ({0: None, 10: None}, (None, 0)),
        ({0: 0.1, 10: 0.6, 20: None}, (10, 1)),
        ({0: 0.1, 10: None, 20: 0.6}, (None, 0)),
        ({0: 0.1, 10: 0.2}, (None, 1)),
    ],
)
def test_an_overlap_that_is_not_known_is_missing_and_not_what_did_not_happen(values, expected):
    frames = {"telemetry": _telemetry(), "curvature": _overlaps(values)}
    rows = {row["event"]: row for row in early.timeline(frames, WATCHED)}
    row = rows["half of the gradient in the top subspace"]
    assert (row["step"], row["num_seeds"]) == expected


@pytest.mark.parametrize("longer", [1, 2, 4])
def test_when_gradients_have_settled_does_not_depend_on_how_long_one_watched(longer):
    """They go on to grow after step 1,000."""
    frame, last = _telemetry(), pd.DataFrame({"step": range(1010, 1000 * longer + 1, 10)})
    more = [
        last.assign(task="toy", seed=s, test_error=0.0, mean_magnitude=1.0, signs_changed=0.25 * longer, gradient_norm=4.0)
        for s in (0, 1)
    ]
    rows = early.timeline({"telemetry": pd.concat([frame, *more])}, {"tasks": {"toy": {"steps": 1000}}})
    expected = early.timeline({"telemetry": frame}, WATCHED)
    for row, other in zip(rows, expected, strict=True):
        if row["event"].startswith(("gradient", "half")):
            assert row == other


def test_of_training_that_was_not_watched_until_gradients_settle_that_is_not_known():
    rows = {row["event"]: row for row in early.timeline({"telemetry": _telemetry()}, {"tasks": {"toy": {"steps": 60000}}})}
    for event in ("gradients settled", "gradients no longer large", "half of the sign changes"):
        assert (rows[event]["step"], rows[event]["num_seeds"]) == (None, 0)
    assert rows["gradient minimum"]["num_seeds"] == 2


def test_a_gradient_that_falls_all_the_time_has_no_minimum():
    frame = _telemetry().assign(gradient_norm=lambda rows: 5 - rows["step"] / 1000)
    rows = {row["event"]: row for row in early.timeline({"telemetry": frame}, WATCHED)}
    assert rows["gradient minimum"]["step"] is None


def test_where_a_level_matches_is_read_off_runs_alone():
    """Means 10 to 12 % match at 12 + deviation: level 1 from k = 5 on, level 2 nowhere; there is no instability table."""
    errors = {(0, k, s): 0.10 + 0.01 * s for k in (0, 5, 9) for s in range(3)}
    errors |= {(1, k, s): (0.5 if k == 0 else 0.10) + 0.01 * s for k in (0, 5, 9) for s in range(3)}
    errors |= {(2, k, s): 0.4 for k in (0, 5, 9) for s in range(3)}
    runs = _runs(errors)
    runs["kind"] = np.where(runs["level"] == 0, "dense", "imp")
    rows = {row["event"]: row for row in early.timeline({"telemetry": _telemetry(), "runs": runs}, WATCHED)}
    first, second = rows["IMP matches at level 1"], rows["IMP matches at level 2"]
    assert (first["step"], first["low"], first["high"], first["of"], first["num_seeds"]) == (5, 5, 5, "runs", 3)
    assert (second["step"], second["low"], second["high"]) == (None, None, None)


def test_smoothing_averages_a_window_of_steps():
    run = pd.DataFrame({"step": [0, 1, 2, 100, 110, 130], "x": [1.0, 2.0, 6.0, 10.0, 20.0, None]})
    assert early._smoothed(run, "x", 25).to_dict() == {0: 3, 1: 3, 2: 3, 100: 15, 110: 15}


@pytest.mark.parametrize("table", ["means", "onsets", "networks", "correlations", "timeline"])
def test_every_derived_table_has_its_function_and_its_columns(table):
    runs = _runs({(0, 0, 0): 0.1, (1, 0, 0): 0.2}).assign(num_params=5, density=1.0, num_kept=5)
    spec = {"tasks": {"toy": _task()}, "sparse_levels": {"toy": 1}, "pruning": {"toy": "iterative"}}
    frames = {"instability": _pairs({(0, 0): [0.1, 0.2]}), "runs": runs, **_perturbed([0.1, 0.2, 0.4]), "telemetry": _telemetry()}
    rows = registry.entries("derived")[table].load()(frames, spec)
    assert rows
    stage_adds = {"key", "environment", "experiment"}
    assert {key for row in rows for key in row} == {column.name for column in declared.COLUMNS[table]} - stage_adds
    assert tabulation.to_arrow(rows, declared.COLUMNS[table]).num_rows == len(rows)
