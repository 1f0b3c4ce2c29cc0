from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from pipeline_lib import nodes, registry, summaries, tables


def _pairs(values: dict[tuple[int, int], list[float]], **more: Any) -> pd.DataFrame:
    """Rows from (k, seed) -> instabilities of its pairs."""
    who = {"task": "toy", "kind": "imp", "level": 0, "density": 1.0, "split": "test", "batchnorm": "averaged"} | more
    return pd.DataFrame([who | {"k": k, "seed": s, "instability": v} for (k, s), each in values.items() for v in each])


def _runs(errors: dict[tuple[int, int, int], float]) -> pd.DataFrame:
    """Rows from (level, k, seed) -> test error."""
    who = {"task": "toy", "kind": "imp", "order": 0}
    return pd.DataFrame([who | {"level": lv, "k": k, "seed": s, "test_error": e} for (lv, k, s), e in errors.items()])


NO_RUNS = _runs({(0, 0, 0): 0.1})


def test_means_in_closed_form():
    rows = summaries.means({"instability": _pairs({(0, 0): [0.1, 0.3], (0, 1): [0.4, 0.6]})}, {})
    row = rows[0]
    assert (row["num_pairs"], row["num_seeds"], row["k"], row["split"]) == (4, 2, 0, "test")
    assert row["instability"] == pytest.approx(0.35)
    deviation = (sum((v - 0.35) ** 2 for v in (0.1, 0.3, 0.4, 0.6)) / 3) ** 0.5
    assert row["deviation"] == pytest.approx(deviation)
    assert row["error"] == pytest.approx(deviation / 2)
    assert row["seed_error"] == pytest.approx(0.15)  # seeds' means are 0.2 and 0.5


def test_each_setting_has_its_own_mean():
    both = pd.concat([_pairs({(0, 0): [0.1]}), _pairs({(0, 0): [0.3]}, batchnorm="recomputed"), _pairs({(5, 0): [0.2]})])
    rows = summaries.means({"instability": both}, {})
    assert {(r["k"], r["batchnorm"]): r["instability"] for r in rows} == {
        (0, "averaged"): 0.1, (0, "recomputed"): 0.3, (5, "averaged"): 0.2,
    }  # fmt: skip


def test_a_diverged_pair_leaves_no_mean():
    rows = summaries.means({"instability": _pairs({(0, 0): [0.1, float("nan")]})}, {})
    assert rows[0]["instability"] != rows[0]["instability"]


def _stability(pairs: pd.DataFrame) -> dict[str, Any]:
    rows = [row for row in summaries.onsets({"instability": pairs, "runs": NO_RUNS}, {}) if row["of"] == "stability"]
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
    rows = summaries.onsets({"instability": _pairs({(0, 0): [0.0]}), "runs": _runs(errors)}, {})
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
    runs = _runs({(0, 0, 0): 0.02, (0, 0, 1): 0.03, (0, 9, 0): 0.5, (1, 0, 0): 0.9}).assign(num_params=266_610, density=1.0)
    runs.loc[runs["level"] == 1, "density"] = 0.8
    spec = {"tasks": {"toy": _task()}, "sparse_levels": {"toy": 1}, "pruning": {"toy": "iterative"}}
    (row,) = summaries.networks({"runs": runs}, spec)
    assert row["accuracy"] == pytest.approx(0.975)
    assert row["accuracy_sd"] == pytest.approx(0.005 * 2**0.5)
    assert (row["num_seeds"], row["density"], row["lr"], row["steps"]) == (2, pytest.approx(0.8), 0.0012, 24_000)
    dense = summaries.networks({"runs": runs[runs["level"] == 0]}, spec | {"sparse_levels": {"toy": 0}})
    assert dense[0]["density"] is None


@pytest.mark.parametrize("table", nodes.DERIVED)
def test_every_derived_table_has_its_function_and_its_columns(table):
    runs = _runs({(0, 0, 0): 0.1, (1, 0, 0): 0.2}).assign(num_params=5, density=1.0)
    spec = {"tasks": {"toy": _task()}, "sparse_levels": {"toy": 1}, "pruning": {"toy": "iterative"}}
    frames = {"instability": _pairs({(0, 0): [0.1, 0.2]}), "runs": runs}
    rows = registry.entries("summaries")[table].load()(frames, spec)
    assert rows
    assert {key for row in rows for key in row} == {column.name for column in tables.COLUMNS[table]}
    assert tables.to_arrow(rows, table).num_rows == len(rows)
