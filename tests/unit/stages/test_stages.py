from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
import toys
from torch.func import functional_call

from pipeline_lib.core.types import State
from pipeline_lib.planning import declared, driver, nodes
from pipeline_lib.stages.landscape.interpolate import Trained, check_apart, check_end
from pipeline_lib.stages.support import data
from pipeline_lib.stages.support.training import kept_file
from pipeline_lib.store import artifacts
from pipeline_lib.store.job import Job
from pipeline_lib.tables import tabulation
from pipeline_lib.training.evaluation import Score, chunks, evaluate
from pipeline_lib.training.precision import Numerics


def _make(results: Path, per_job: int) -> nodes.Plan:
    """Make a small experiment in this process, without its figures."""
    given = {"controls": ["random_prune", "reinit"], "rewind": [2], "levels": 1, "figures": ["instability_sparse"]}
    raw = toys.raw_config(results, orders=3, **given) | {"per_job": {"seeds": per_job, "orders": per_job}}
    made = toys.make_plan(raw)
    plan_file = driver.write_plan(made, [])
    for node in made.nodes.values():
        if node.stage != "plot":
            driver.run_node(node.stage, results / node.folder, plan_file)
    return made


def _frames(made: nodes.Plan) -> dict[str, pd.DataFrame]:
    found = made.tables["tiny"].items()
    return {name: tabulation.read(made.config.results / node.folder / "table.parquet") for name, node in found}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return _make(tmp_path_factory.mktemp("cohort"), 2)


@pytest.fixture(scope="module")
def frames(cohort):
    return _frames(cohort)


def _nodes(made: nodes.Plan, stage: str, **spec: object) -> list[tuple[nodes.Node, Path]]:
    chosen = [n for n in made.nodes.values() if n.stage == stage and all(n.spec.get(k) == v for k, v in spec.items())]
    return [(n, made.config.results / n.folder / declared.STAGES[stage].files[0]) for n in chosen]


def test_a_members_numbers_do_not_depend_on_its_cohort(frames, tmp_path):
    alone = _frames(_make(tmp_path, 1))
    for name, frame in frames.items():
        numbers = [column for column in frame if not column.endswith(("key", "member"))]
        pd.testing.assert_frame_equal(frame[numbers], alone[name][numbers], check_exact=True)


def test_a_table_says_what_it_is_and_what_made_it(cohort):
    for name, node in cohort.tables["tiny"].items():
        said = pq.read_schema(cohort.config.results / node.folder / "table.parquet").metadata
        assert (said[b"experiment"], said[b"table"], said[b"schema"]) == (b"tiny", name.encode(), b"1")
        assert said[b"torch"] == torch.__version__.encode()


def test_a_row_leads_to_its_member(cohort, frames):
    """A row's key and member are a place in an artifact's tensors: a run's by seed and order, a pair's ends each by its own."""
    members = {node.key: node.spec["members"] for node in cohort.nodes.values() if "members" in node.spec}
    for row in frames["runs"].to_dict("records"):
        assert members[row["key"]][row["member"]] == [row["seed"], row["noise_order"]]
    for row in frames["instability"].to_dict("records"):
        ends = [members[row[f"{end}key"]][row[f"{end}member"]] for end in ("", "other_")]
        assert ends == [[row["seed"], row["order_1"]], [row["seed"], row["order_2"]]]
    assert set(frames["runs"]["member"]) == {0, 1}
    assert set(frames["runs"]["experiment"]) == {"tiny"}


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
        assert list(frame.columns) == [column.name for column in declared.COLUMNS[name]]
        nullable = ["last_finite_step", "further_criterion", "further_fraction", "headroom_share"]
        nullable += {"onsets": ["k", "first_k", "before", "low", "high"], "networks": ["validated_accuracy", "validated_sd"]}.get(
            name, []
        )
        assert not frame.drop(columns=nullable, errors="ignore").isna().any(axis=None)


def test_runs_say_where_they_came_from(frames):
    sparse = frames["runs"][frames["runs"]["level"] == 1].groupby("kind")[["start", "mask"]].first()
    assert sparse.loc["imp"].tolist() == ["k2", "magnitude"]
    assert sparse.loc["random_prune"].tolist() == ["k2", "shuffled"]
    assert sparse.loc["reinit"].tolist() == ["k2", "magnitude"]
    assert set(frames["runs"]["num_kept"]) == {64 * 2 + 2 * 10, 148 - 30}
    assert set(frames["runs"]["num_params"]) == {148 + 2 + 10}
    assert set(frames["runs"]["steps"]) == {6}


def test_the_ends_of_a_path_are_the_runs_own_errors(frames):
    keys = ["seed", "kind", "level"]
    ends = frames["interpolation"][frames["interpolation"]["split"] == "test"]
    for alpha, order in ((1.0, "order_1"), (0.0, "order_2")):
        merged = ends[ends["alpha"] == alpha].merge(frames["runs"], left_on=[*keys, order], right_on=[*keys, "noise_order"])
        assert len(merged) == 2 * 4 * 3
        assert (merged["error"] == merged["test_error"]).all()
        assert (merged["loss"] == merged["test_loss"]).all()


def test_the_last_point_of_a_curve_is_the_runs_own_error(frames):
    keys = ["seed", "noise_order", "kind", "level"]
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


@pytest.fixture(scope="module")
def followed(tmp_path_factory) -> tuple[nodes.Plan, dict[str, pd.DataFrame]]:
    """A dense experiment whose runs from step 2 are followed, with both kinds of BatchNorm statistics and claims."""
    given = {
        "levels": 0,
        "rewind": [0, 2],
        "orders": 3,
        "alphas": 4,
        "throughout": {"every": 2, "rewind": [2]},
        "splits": ["test"],
        "layerwise": True,
    }
    raw = toys.raw_config(tmp_path_factory.mktemp("followed"), **given, batchnorm=["averaged", "recomputed"])
    made = toys.make_plan(raw | {"per_job": {"seeds": 2, "orders": 2}})
    plan_file = driver.write_plan(made, [])
    for node in made.nodes.values():
        if node.stage != "plot":
            driver.run_node(node.stage, made.config.results / node.folder, plan_file)
    return made, _frames(made)


def test_instability_throughout_ends_with_the_instability_of_the_trained_runs(followed):
    frames = followed[1]
    keys = ["seed", "order_1", "order_2", "k"]
    last = frames["throughout"][frames["throughout"]["step"] == 6].set_index(keys).sort_index()
    ends = frames["instability"].query("k == 2 and batchnorm == 'averaged'").set_index(keys).sort_index()
    shared = ["mean_end_error", "max_error", "instability"]
    assert len(last) == 6
    pd.testing.assert_frame_equal(last[shared], ends[shared], check_exact=True)
    assert set(frames["throughout"]["step"]) == {4, 6}
    assert list(frames["throughout"].columns) == [column.name for column in declared.COLUMNS["throughout"]]


def test_the_midpoint_is_no_point_of_the_line_unless_it_is_asked_for(followed):
    _, frames = followed
    assert set(frames["interpolation"]["alpha"]) == {0, 1 / 3, 2 / 3, 1}
    assert frames["instability"]["midpoint_error"].notna().all()


def test_a_kept_state_is_where_a_shorter_run_ends(followed):
    made, _ = followed
    trace = next(node for node in made.nodes.values() if node.stage == "trace")
    folder = made.config.results / trace.folder
    seed, order = trace.spec["members"][0]
    kept, _ = artifacts.read_states(kept_file(folder, (seed, order), 6))
    last, _ = artifacts.read_states(folder / "state.safetensors")
    assert toys.same_state(kept[0], last[0])
    early, _ = artifacts.read_states(kept_file(folder, (seed, order), 4))
    assert early[0].step == 4
    assert not toys.same(early[0].params, last[0].params)


def test_a_network_without_batchnorm_has_nothing_to_recompute(followed):
    frame = followed[1]["instability"].drop(columns=["onset", "stable"])
    by_variant = [rows.drop(columns="batchnorm").reset_index(drop=True) for _, rows in frame.groupby("batchnorm")]
    assert len(by_variant) == 2
    pd.testing.assert_frame_equal(*by_variant, rtol=1e-5)


def test_moving_a_block_starts_at_the_first_run_and_ends_with_the_blocks_swapped(followed):
    made, frames = followed
    layers, keys = frames["layers"], ["seed", "k"]
    runs = frames["runs"].rename(columns={"noise_order": "order_1"})
    merged = layers.merge(runs[[*keys, "order_1", "test_error"]], on=[*keys, "order_1"])
    assert len(merged) == len(layers) == 2 * 2 * 3 * 2
    assert (merged["start_error"] == merged["test_error"]).all()
    assert (layers["rise"] == layers["max_error"] - layers["start_error"]).all()
    assert layers["block"].unique().tolist() == ["stem", "body.fc2"]
    node, _ = _nodes(made, "trace")[0]
    (seed, i), (_, j) = node.spec["members"][0], (None, 1)
    row = layers.query("seed == @seed and k == 2 and order_1 == @i and order_2 == @j and block == 'stem'").iloc[0]
    states = {}
    for each in (n for n, _ in _nodes(made, "trace")):
        found, meta = artifacts.read_states(made.config.results / each.files()[0])
        states |= {tuple(m): s for m, s in zip(meta["spec"]["members"], found, strict=True)}
    first, second = states[seed, i], states[seed, j]
    mixed = {n: (second if n.startswith("stem.") else first).params[n] for n in first.params}
    data_node = next(n for n in made.nodes.values() if n.stage == "prepare")
    dataset = data.read(Job("", {}, Path(), {"data": [made.config.results / data_node.folder]}))
    assert row["end_error"] == evaluate(data.build(node.spec["task"], dataset), State(mixed), dataset.test, dataset).error


def test_derived_tables_are_made(followed):
    frames = followed[1]
    assert set(frames["means"]["num_pairs"]) == {6}
    assert frames["onsets"]["of"].unique().tolist() == ["stability"]
    assert frames["networks"]["num_params"].tolist() == [160]
    assert len(frames["distances"]) == 2 * 2 * 3


@pytest.mark.parametrize(("error", "message"), [(0.30, "got 0.3"), (None, "error None")])
def test_an_end_that_is_not_its_run_is_refused(error, message):
    run = Trained("", toys.start(toys.dense_net()), 1.0, False, {"test": 0.2 if error else None, "train": 0.1})
    check_end(run, "train", Score(0.104, 1.0))
    with pytest.raises(ValueError, match=message):
        check_end(run, "test", Score(error or 0.2, 1.0))


def test_an_end_in_train_mode_is_refused():
    """The control of a known mistake: BatchNorm with the batch's own statistics gives another error."""
    network, data = toys.norm_net(), toys.dataset(num_train=64)
    state = toys.start(network)
    state = State(state.params, {n: b + 3 if n.endswith("mean") else b for n, b in state.buffers.items()})
    own = evaluate(network, state, data.train, data)
    network.train()
    x, y = next(chunks(data.train, data, Numerics()))
    with torch.no_grad():
        logits = functional_call(network, {**state.params, **{n: b.clone() for n, b in state.buffers.items()}}, (x,))
    wrong = Score(float((logits.argmax(1) != y).double().mean()), 0.0)
    with pytest.raises(ValueError, match=r"end of a path must have its run's train error"):
        check_end(Trained("", state, 1.0, False, {"train": own.error, "test": None}), "train", wrong)


def test_copies_that_are_one_object_are_refused():
    check_apart(1, 2, 1e-9)
    with pytest.raises(ValueError, match="runs of orders 1 and 2 must differ, got equal weights"):
        check_apart(1, 2, 0.0)


def test_equal_orders_are_refused():
    with pytest.raises(ValueError, match=r"orders"):
        toys.make_plan(toys.raw_config(orders=[1, 1]))
