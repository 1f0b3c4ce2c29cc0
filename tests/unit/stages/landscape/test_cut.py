"""Cuts of solutions that a toy ladder trained in this process, held against weights that are pruned by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import toys

from pipeline_lib.core.rng import numpy_generator
from pipeline_lib.core.types import State
from pipeline_lib.planning import declared, driver, nodes
from pipeline_lib.pruning.selection import prune
from pipeline_lib.stages.landscape import cut
from pipeline_lib.stages.support import data
from pipeline_lib.store import artifacts
from pipeline_lib.store.job import Job
from pipeline_lib.tables import tabulation
from pipeline_lib.training.evaluation import Score, evaluate
from pipeline_lib.training.precision import Numerics

FRACTIONS = {"magnitude": [0.2, 0.5], "random": [0.1, 0.5]}
MEASURED = ["distance", "train_error", "train_loss", "test_error", "test_loss"]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> nodes.Plan:
    """A ladder of one level, two seeds in a job."""
    raw = toys.raw_config(tmp_path_factory.mktemp("cut"), orders=1, rewind=[2], levels=1, figures=["accuracy_by_density"])
    plan = toys.make_plan(raw | {"per_job": {"seeds": 2, "orders": 1}})
    plan_file = driver.write_plan(plan, [])
    for node in plan.nodes.values():
        if node.stage in ("prepare", "pretrain", "prune", "rewind", "train"):
            driver.run_node(node.stage, plan.config.results / node.folder, plan_file)
    return plan


def _folder(made: nodes.Plan, stage: str, **spec: object) -> Path:
    (node,) = [n for n in made.nodes.values() if n.stage == stage and all(n.spec.get(k) == v for k, v in spec.items())]
    return made.config.results / node.folder


def _job(made: nodes.Plan, level: int, folder: Path, **more: Any) -> Job:
    reads = {"data": [_folder(made, "prepare")], "state": [_folder(made, "train", level=level)]}
    if level:
        reads["mask"] = [_folder(made, "prune", level=level)]
    task = toys.task() | {"name": "toy", "precision": "float32", "channels_last": False}
    spec = {"task": task, "seeds": [0, 1], "k": 2, "level": level, "fractions": FRACTIONS, "scope": "global"}
    spec |= {"repeated": [], "draws": 1}
    return Job("made_up", spec | more, folder, reads)


def _cut(job: Job) -> pd.DataFrame:
    cut.run(job)
    return tabulation.tabulate([job.folder / "cuts.parquet"], declared.COLUMNS["cuts"]).to_pandas()


@pytest.fixture(scope="module")
def cuts(made, tmp_path_factory) -> dict[int, pd.DataFrame]:
    return {level: _cut(_job(made, level, tmp_path_factory.mktemp(f"level{level}"))) for level in (0, 1)}


def _solution(made: nodes.Plan, level: int, seed: int) -> tuple[State, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """A seed's state, its prunable weights and its mask."""
    states, meta = artifacts.read_states(_folder(made, "train", level=level) / "state.safetensors")
    weights = {name: states[seed].params[name].numpy() for name in meta["prunable"]}
    if not level:
        return states[seed], weights, {name: np.ones(array.shape, dtype=bool) for name, array in weights.items()}
    arrays, _ = artifacts.read_arrays(_folder(made, "prune", level=level) / "mask.safetensors")
    return states[seed], weights, {name: arrays[name][seed] for name in weights}


def _row(cuts: pd.DataFrame, seed: int, criterion: str, fraction: float) -> pd.Series:
    (at,) = cuts.index[(cuts["seed"] == seed) & (cuts["criterion"] == criterion) & (cuts["fraction"] == fraction)]
    return cuts.loc[at]


def _survivors(weights: dict[str, np.ndarray], mask: dict[str, np.ndarray]) -> np.ndarray:
    return np.concatenate([weights[name][keep] for name, keep in mask.items()]).astype(np.float64)


def test_small_cuts_are_drawn_anew_where_that_is_asked_for(made, cuts, tmp_path):
    more = _cut(_job(made, 1, tmp_path, repeated=FRACTIONS["random"][:1], draws=3))
    assert more.groupby(["criterion", "fraction"])["draw"].apply(sorted).to_dict() == {
        ("none", 0.0): [0, 0],
        **{(c, f): [0, 0] for c, each in FRACTIONS.items() for f in each},
        ("random", FRACTIONS["random"][0]): [0, 0, 1, 1, 2, 2],
    }
    first = more[more["draw"] == 0].reset_index(drop=True)
    pd.testing.assert_frame_equal(first, cuts[1])
    assert more[more["criterion"] == "random"].groupby(["seed", "fraction"])["distance"].nunique().max() == 3


def test_there_is_a_row_a_cut_with_the_documented_columns(cuts):
    wanted = {("none", 0.0), *((criterion, f) for criterion, each in FRACTIONS.items() for f in each)}
    for level, frame in cuts.items():
        assert list(frame.columns) == [column.name for column in declared.COLUMNS["cuts"]]
        assert not frame[tabulation.measured(declared.COLUMNS["cuts"])].isna().any(axis=None)
        assert set(zip(frame["task"], frame["k"], frame["level"], strict=True)) == {("toy", 2, level)}
        for _, own in frame.groupby("seed"):
            assert sorted(zip(own["criterion"], own["fraction"], strict=True)) == sorted(wanted)
        assert set(frame["seed"]) == {0, 1}


@pytest.mark.parametrize("level", [0, 1])
def test_nothing_pruned_is_the_solution_with_its_own_errors(made, cuts, level):
    runs = tabulation.read(_folder(made, "train", level=level) / "runs.parquet").set_index("seed")
    for seed in (0, 1):
        row = _row(cuts[level], seed, "none", 0.0)
        assert row["distance"] == 0
        for name in MEASURED[1:]:
            assert row[name] == runs.loc[seed, name]


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("fraction", FRACTIONS["magnitude"])
def test_magnitude_removes_the_smallest_survivors(made, cuts, level, fraction):
    for seed in (0, 1):
        _, weights, mask = _solution(made, level, seed)
        sizes = np.sort(np.abs(_survivors(weights, mask)))
        removed = sizes[: math.ceil(fraction * len(sizes))]
        assert len(sizes) < sum(keep.size for keep in mask.values()) or level == 0
        assert _row(cuts[level], seed, "magnitude", fraction)["distance"] == pytest.approx(np.linalg.norm(removed), rel=1e-9)


def test_the_ladders_own_fraction_leads_to_its_own_projection(made, cuts):
    for seed in (0, 1):
        _, weights, _ = _solution(made, 0, seed)
        _, _, following = _solution(made, 1, seed)
        gone = _survivors(weights, {name: ~keep for name, keep in following.items()})
        assert _row(cuts[0], seed, "magnitude", 0.2)["distance"] == pytest.approx(np.linalg.norm(gone), rel=1e-9)


@pytest.mark.parametrize("level", [0, 1])
def test_random_draws_are_named(made, cuts, level):
    for seed in (0, 1):
        _, weights, mask = _solution(made, level, seed)
        rng = numpy_generator("cut", seed, 2, level, "0.5")
        kept = prune("random", {"rng": rng}, mask, 0.5, "global")
        gone = _survivors(weights, {name: mask[name] & ~keep for name, keep in kept.items()})
        row = _row(cuts[level], seed, "random", 0.5)
        assert row["distance"] == pytest.approx(np.linalg.norm(gone), rel=1e-9)
        assert row["distance"] > _row(cuts[level], seed, "magnitude", 0.5)["distance"]


@pytest.mark.parametrize("level", [0, 1])
def test_scores_are_those_of_the_network_pruned_by_hand(made, cuts, level):
    job = _job(made, level, Path())
    dataset = data.read(job)
    network = data.build(job.spec["task"], dataset)
    for seed in (0, 1):
        state, weights, mask = _solution(made, level, seed)
        sizes = np.sort(np.abs(_survivors(weights, mask)))
        largest_gone = sizes[math.ceil(0.5 * len(sizes)) - 1]
        params = {n: torch.where(t.abs() > largest_gone, t, 0) if n in weights else t for n, t in state.params.items()}
        scores = [evaluate(network, State(params, state.buffers), s, dataset, Numerics()) for s in (dataset.train, dataset.test)]
        row = _row(cuts[level], seed, "magnitude", 0.5)
        assert scores == [Score(row["train_error"], row["train_loss"]), Score(row["test_error"], row["test_loss"])]


def test_layers_may_be_pruned_each_by_itself(made, tmp_path):
    row = _row(_cut(_job(made, 1, tmp_path, scope="layer")), 0, "magnitude", 0.5)
    _, weights, mask = _solution(made, 1, 0)
    sizes = [np.sort(np.abs(weights[name][keep].astype(np.float64))) for name, keep in mask.items()]
    gone = np.concatenate([each[: math.ceil(len(each) / 2)] for each in sizes])
    assert row["distance"] == pytest.approx(np.linalg.norm(gone), rel=1e-9)


def test_a_diverged_seed_has_rows_without_values(made, cuts, tmp_path):
    job = _job(made, 1, tmp_path)
    states, meta = artifacts.read_states(job.file("state", "state.safetensors"))
    lost = tmp_path / f"lost-{meta['key']}"
    nothing = {name: torch.full_like(tensor, torch.nan) for name, tensor in states[0].params.items()}
    members = [State(nothing, states[0].buffers, states[0].step), states[1]]
    artifacts.write_states(lost / "state.safetensors", members, json.loads(json.dumps(meta)) | {"diverged": [True, False]})
    job.reads["state"] = [lost]
    found = _cut(job)
    assert found[found["seed"] == 0][MEASURED].isna().all(axis=None)
    assert len(found) == len(cuts[1])
    pd.testing.assert_frame_equal(found[found["seed"] == 1], cuts[1][cuts[1]["seed"] == 1], check_exact=True)
