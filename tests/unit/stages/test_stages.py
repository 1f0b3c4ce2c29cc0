from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import toys

from pipeline_lib import artifacts, driver, plan, tables


def _make(results: Path, per_job: int) -> plan.Plan:
    """Make a small experiment in this process, without its figures."""
    given = {"controls": ["random_prune", "reinit"], "rewind": [2], "levels": 1, "figures": ["instability_sparse"]}
    raw = toys.raw_config(results, orders=3, **given) | {"per_job": {"seeds": per_job, "orders": per_job}}
    made = toys.make_plan(raw)
    plan_file = driver.write_plan(made, [])
    for node in made.nodes.values():
        if node.stage != "plot":
            driver.run_node(node.stage, results / node.folder, plan_file)
    return made


def _frames(made: plan.Plan) -> dict[str, pd.DataFrame]:
    found = made.tables["tiny"].items()
    return {name: tables.read(made.config.results / node.folder / "table.parquet") for name, node in found}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return _make(tmp_path_factory.mktemp("cohort"), 2)


@pytest.fixture(scope="module")
def frames(cohort):
    return _frames(cohort)


def _nodes(made: plan.Plan, stage: str, **spec: object) -> list[tuple[plan.Node, Path]]:
    chosen = [n for n in made.nodes.values() if n.stage == stage and all(n.spec.get(k) == v for k, v in spec.items())]
    return [(n, made.config.results / n.folder / plan.OUTPUTS[stage][0]) for n in chosen]


def test_a_members_numbers_do_not_depend_on_its_cohort(frames, tmp_path):
    alone = _frames(_make(tmp_path, 1))
    for name, frame in frames.items():
        pd.testing.assert_frame_equal(frame, alone[name], check_exact=True)


def test_every_node_made_all_its_files(cohort):
    for node in cohort.nodes.values():
        if node.stage != "plot":
            assert all((cohort.config.results / name).is_file() for name in node.files())


def test_there_is_a_row_a_run_and_an_alpha(frames):
    assert len(frames["runs"]) == 2 * (3 + 3 * 3)
    assert len(frames["instability"]) == 2 * 4 * 3 * 2
    assert len(frames["interpolation"]) == 3 * len(frames["instability"])
    assert set(frames["curves"]["step"]) == {3, 6}


def test_the_tables_have_exactly_their_documented_columns(frames):
    for name, frame in frames.items():
        assert list(frame.columns) == [column.name for column in tables.COLUMNS[name]]
        assert not frame.drop(columns="last_finite_step", errors="ignore").isna().any(axis=None)


def test_runs_say_where_they_came_from(frames):
    sparse = frames["runs"][frames["runs"]["level"] == 1].groupby("kind")[["start", "mask"]].first()
    assert sparse.loc["imp"].tolist() == ["rewound", "magnitude"]
    assert sparse.loc["random_prune"].tolist() == ["rewound", "shuffled"]
    assert sparse.loc["reinit"].tolist() == ["fresh", "magnitude"]
    assert set(frames["runs"]["num_kept"]) == {64 * 2 + 2 * 10, 148 - 30}
    assert set(frames["runs"]["num_params"]) == {148 + 2 + 10}
    assert set(frames["runs"]["steps"]) == {6}


def test_the_ends_of_a_path_are_the_runs_own_errors(frames):
    keys = ["seed", "kind", "level"]
    ends = frames["interpolation"][frames["interpolation"]["split"] == "test"]
    for alpha, order in ((1.0, "order_1"), (0.0, "order_2")):
        merged = ends[ends["alpha"] == alpha].merge(frames["runs"], left_on=[*keys, order], right_on=[*keys, "order"])
        assert len(merged) == 2 * 4 * 3
        assert (merged["error"] == merged["test_error"]).all()
        assert (merged["loss"] == merged["test_loss"]).all()


def test_the_last_point_of_a_curve_is_the_runs_own_error(frames):
    keys = ["seed", "order", "kind", "level"]
    last = frames["curves"][(frames["curves"]["step"] == 6) & (frames["curves"]["split"] == "test")]
    merged = last.merge(frames["runs"], on=keys)
    assert len(merged) == len(frames["runs"])
    assert (merged["error"] == merged["test_error"]).all()


@pytest.mark.parametrize("kind", ["imp", "random_prune"])
def test_a_sparse_start_is_the_dense_one_times_the_mask_and_stays_sparse(cohort, kind):
    (train, trained), *_ = _nodes(cohort, "train", kind=kind, level=1)
    start, mask = (cohort.parents(train)[role][0] for role in ("start", "mask"))
    read = {n.key: artifacts.read_arrays(cohort.config.results / n.files()[0])[0] for n in (start, mask)}
    dense, _ = artifacts.read_arrays(_nodes(cohort, "pretrain", k=2)[0][1])
    ends, _ = artifacts.read_arrays(trained)
    for name, array in read[start.key].items():
        keep = read[mask.key].get(name.removeprefix("params/"))
        np.testing.assert_array_equal(array, dense[name] if keep is None else dense[name] * keep)
    for name, keep in read[mask.key].items():
        end = ends[f"params/{name}"]
        apart = end.reshape(2, len(end) // 2, *end.shape[1:])
        assert not apart[~np.broadcast_to(keep[:, None], apart.shape)].any()


def test_a_random_mask_is_the_ladders_shuffled_in_each_layer(cohort):
    magnitude, shuffled = (
        artifacts.read_arrays(_nodes(cohort, "prune", criterion=c)[0][1])[0] for c in ("magnitude", "shuffled")
    )
    for name, keep in magnitude.items():
        assert (keep.reshape(2, -1).sum(1) == shuffled[name].reshape(2, -1).sum(1)).all()
    assert any(not np.array_equal(keep, shuffled[name]) for name, keep in magnitude.items())
