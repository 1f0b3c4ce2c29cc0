"""From a row of any table to the artifacts that it was measured on, and the row again from what lies there."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import every_stage
import numpy as np
import pandas as pd
import pytest
import torch
import toys

from pipeline_lib.core.types import State
from pipeline_lib.planning import declared, driver, nodes
from pipeline_lib.stages.support import data
from pipeline_lib.stages.support.training import kept_file, numerics
from pipeline_lib.store import artifacts
from pipeline_lib.store.job import Job
from pipeline_lib.tables import tabulation
from pipeline_lib.training.evaluation import evaluate, subset

GRID = every_stage.GRID | {"seeds": 2, "orders": 4}
MANY = ("means", "onsets", "networks", "correlations", "timeline", "claims", "wells")  # about no single network
# About files that a config brings: tests/unit/stages/states/test_bring.py.
OF_CHECKPOINTS = {"brought", "triangles", "corners", *(name for name in declared.COLUMNS if name.startswith("checkpoint_"))}


@dataclass(frozen=True)
class _World:
    """What one run of all stages left, several members in an artifact."""

    root: Path
    plan: nodes.Plan
    tables: dict[str, pd.DataFrame]

    def folder(self, key: str) -> Path:
        (found,) = self.root.glob(f"artifacts/*/*-{key}")
        return found

    def record(self, key: str) -> dict[str, Any]:
        return dict(json.loads((self.folder(key) / "spec.json").read_text(encoding="utf-8")))

    def state(self, key: str, seed: int, order: int | None = None) -> State:
        """The member of an artifact that a row is about."""
        record = self.record(key)
        while record["stage"] == "rewind":  # its members are those of the state that it masks
            record = self.record(record["parents"]["state"][0])
        spec = record["spec"]
        members = spec.get("members") or [[each, None] for each in spec["seeds"]]
        mine = [i for i, (own, other) in enumerate(members) if own == seed and order in (None, other)]
        assert len(mine) == 1
        return artifacts.read_states(self.folder(key) / "state.safetensors")[0][mine[0]]

    def weights(self, key: str, seed: int, order: int | None = None) -> torch.Tensor:
        state, names = self.state(key, seed, order), self.prunable(key)
        return torch.cat([state.params[name].reshape(-1) for name in names]).double()

    def prunable(self, key: str) -> list[str]:
        return list(artifacts.read_meta(self.folder(key) / "state.safetensors")["prunable"])

    def measured(self, state: State, split: str, num: int | None = None) -> tuple[float, float]:
        """Error and loss of a state on a split, or on so many training images."""
        (node,) = [node for node in self.plan.nodes.values() if node.stage == "prepare"]
        dataset = data.read(Job("", {}, self.root, {"data": [self.root / node.folder]}))
        dataset = replace(dataset, train=subset(dataset.train, num, "curvature")) if num else dataset
        task = self.plan.config.experiments["tiny"].grids["toy"].task
        found = evaluate(data.build(task, dataset), state, getattr(dataset, split), dataset, numerics(task))
        return found.error, found.loss


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> _World:
    root = tmp_path_factory.mktemp("origin")
    raw = {"results": str(root), "per_job": {"seeds": 2, "orders": 2}, "tasks": {"toy": every_stage.TASK}}
    made = toys.make_plan(raw | {"experiments": {"tiny": GRID}})
    every_stage.make(made, without=("plot",))
    driver.write_index(root)
    found = {name: tabulation.read(root / node.folder / "table.parquet") for name, node in made.tables["tiny"].items()}
    return _World(root, made, found)


def test_there_is_every_table(world):
    assert set(world.tables) == set(declared.COLUMNS) - OF_CHECKPOINTS
    assert all(len(frame) for frame in world.tables.values())


@pytest.mark.parametrize("table", [name for name in declared.COLUMNS if name not in OF_CHECKPOINTS])
def test_every_row_leads_to_one_folder_and_to_its_line_of_the_index(world, table):
    frame, index = world.tables[table], pd.read_parquet(world.root / "index.parquet")
    assert index["key"].is_unique
    for name in {"key", "other_key"} & set(frame):
        known = frame[frame[name].notna()]
        joined = known.merge(index, left_on=name, right_on="key", suffixes=("", "_of_artifact"), validate="many_to_one")
        assert len(joined) == len(known)
        for key in known[name].unique():
            assert world.folder(key).name.endswith(f"-{key}")
            assert world.record(key)["key"] == key
    assert frame["key"].notna().all()


def test_a_second_network_is_missing_where_there_is_none_alone(world):
    for name, frame in world.tables.items():
        lacking = frame[frame["other_key"].isna()] if "other_key" in frame else frame[:0]
        assert lacking.empty or name in ("planes", "sets", "reaches")
        assert lacking.empty or set(lacking["plane"]) == {"directions"}
        assert lacking.empty or (frame["plane"] == "directions").sum() == len(lacking)


@pytest.mark.parametrize("table", MANY)
def test_a_row_about_many_networks_or_none_has_the_key_of_its_own_table(world, table):
    (key,) = world.tables[table]["key"].unique()
    file = "wells.parquet" if table == "wells" else "table.parquet"
    again = tabulation.read(world.folder(key) / file)
    ours = [name for name in again.columns if name != "key"]
    pd.testing.assert_frame_equal(world.tables[table][ours], again[ours], check_dtype=False)


def test_jobs_trained_several_members(world):
    """Else a key alone would tell members apart, and the tests below would not see them mixed up."""
    pairs = world.tables["instability"]
    assert (pairs["key"] == pairs["other_key"]).any()
    assert (pairs["key"] != pairs["other_key"]).any()
    assert (world.tables["runs"].groupby("key")[["seed", "noise_order"]].nunique() > 1).any().all()


def _run(world: _World, row: Any) -> None:
    state = world.state(row.key, row.seed, row.noise_order)
    for split in ("train", "test"):
        assert world.measured(state, split) == (getattr(row, f"{split}_error"), getattr(row, f"{split}_loss"))


def _last_point(world: _World, row: Any) -> None:
    if row.split == "test" and row.step == every_stage.TASK["steps"]:
        assert world.measured(world.state(row.key, row.seed, row.noise_order), "test") == (row.error, row.loss)


def _end(world: _World, row: Any) -> None:
    if row.batchnorm == "averaged" and row.alpha in (0, 1):
        at = (row.key, row.order_1) if row.alpha == 1 else (row.other_key, row.order_2)
        assert world.measured(world.state(at[0], row.seed, at[1]), row.split) == pytest.approx((row.error, row.loss), rel=1e-5)


def _mean_of_ends(world: _World, row: Any) -> None:
    if row.batchnorm == "averaged":
        ends = world.state(row.key, row.seed, row.order_1), world.state(row.other_key, row.seed, row.order_2)
        assert np.mean([world.measured(end, row.split)[0] for end in ends]) == pytest.approx(row.mean_end_error)


def _apart(world: _World, row: Any) -> None:
    gap = world.weights(row.key, row.seed, row.order_1) - world.weights(row.other_key, row.seed, row.order_2)
    if row.alignment == "none":  # else run 2 is permuted, and no farther
        assert float(gap.norm()) == pytest.approx(row.l2_weights, rel=1e-5)


def _aligned(world: _World, row: Any) -> None:
    one, two = world.weights(row.key, row.seed, row.order_1), world.weights(row.other_key, row.seed, row.order_2)
    assert world.record(row.other_key)["spec"]["level"] == row.other_level
    if row.alignment == "weights":  # the output layer's biases are no weights that see units
        assert float(one @ two / one.norm() / two.norm()) == pytest.approx(row.before, abs=0.05)


def _kept_ends(world: _World, row: Any) -> None:
    at = ((row.key, row.order_1), (row.other_key, row.order_2))
    files = [kept_file(world.folder(key), (row.seed, order), row.step) for key, order in at]
    errors = [world.measured(artifacts.read_states(file)[0][0], "test")[0] for file in files]
    assert np.mean(errors) == pytest.approx(row.mean_end_error)


def _first_of_block(world: _World, row: Any) -> None:
    assert world.measured(world.state(row.key, row.seed, row.order_1), "test")[0] == row.start_error
    if row.block == world.tables["layers"]["block"].iloc[0]:
        assert world.state(row.other_key, row.seed, row.order_2).step == every_stage.TASK["steps"]


def _alike(world: _World, row: Any) -> None:
    """Compare the logits of the two networks, computed whole, on the images that the stage draws."""
    record = world.record(row.key)
    there = data.world(Job("", {"task": record["spec"]["task"]}, Path(), {"data": [world.folder(record["parents"]["data"][0])]}))
    images = subset(there.split("test"), 50, "similarity").x
    if row.block == world.tables["similarity"]["block"].iloc[-1]:
        grams = []
        for key, order in ((row.key, row.order_1), (row.other_key, row.order_2)):
            state = world.state(key, row.seed, order)
            mean, deviation = (torch.tensor(each).view(-1, 1, 1) for each in (there.dataset.mean, there.dataset.std))
            there.network.eval()
            given = (images / 255 - mean) / deviation
            logits = torch.func.functional_call(there.network, {**state.params, **state.buffers}, (given,)).detach().double()
            centred = logits - logits.mean(0)
            grams.append(centred @ centred.T)
        wanted = (grams[0] * grams[1]).sum() / (grams[0].norm() * grams[1].norm())
        assert float(wanted) == pytest.approx(row.cka, rel=1e-5)


def _change(world: _World, row: Any) -> None:
    if row.layer == "all":
        gap = world.weights(row.key, row.seed) - world.weights(row.other_key, row.seed)
        assert float(gap.norm()) == pytest.approx(row.norm, rel=1e-5)


def _watched(world: _World, row: Any) -> None:
    own = tabulation.read(world.folder(row.key) / "telemetry.parquet")
    again = own[(own["seed"] == row.seed) & (own["step"] == row.step)]
    assert len(again) == 1
    np.testing.assert_array_equal(again["mean_magnitude"], [row.mean_magnitude])


def _validated(world: _World, row: Any) -> None:
    own = tabulation.read(world.folder(row.key) / "validation.parquet")
    (again,) = own[(own["seed"] == row.seed) & (own["step"] == row.step)]["test_error"]
    assert again == row.test_error


def _signs(world: _World, row: Any) -> None:
    assert [world.state(key, row.seed).step for key in (row.key, row.other_key)] == [row.step_1, row.step_2]
    if row.scope == "all":
        differ = (world.weights(row.key, row.seed) < 0) != (world.weights(row.other_key, row.seed) < 0)
        assert float(differ.double().mean()) == pytest.approx(row.changed)


def _loss(world: _World, row: Any) -> None:
    state = world.state(row.key, row.seed)
    assert state.step == row.step
    assert world.measured(state, "train", int(row.num_examples))[1] == row.loss


def _between(world: _World, row: Any) -> None:
    if row.alpha in (0, 1) and row.what == "levels":
        state = world.state(row.key if row.alpha == 1 else row.other_key, row.seed)
        assert world.measured(state, row.split) == pytest.approx((row.error, row.loss), rel=1e-5)


def _barrier(world: _World, row: Any) -> None:
    assert world.measured(world.state(row.key, row.seed), row.split)[0] == row.error_1
    if row.what == "levels":
        assert world.measured(world.state(row.other_key, row.seed), row.split)[0] == row.error_2
    else:
        assert (row.what, row.other_key) == ("projection", row.key)


def _plane(world: _World, row: Any) -> None:
    marks = world.tables["marks"]
    own = marks[(marks["seed"] == row.seed) & (marks["plane"] == row.plane) & (marks["level"] == row.level)]
    homes = own.set_index("mark")["key"].to_dict()
    assert row.key == homes["solution"]
    assert row.plane == "directions" or row.other_key == homes["next"]


def _mark(world: _World, row: Any) -> None:
    state = world.state(row.key, row.seed)
    assert world.record(row.key)["spec"]["level"] == row.level + (row.mark == "next")
    if row.mark in ("solution", "next"):
        assert world.measured(state, "test")[0] == pytest.approx(row.test_error)


def _cut(world: _World, row: Any) -> None:
    if row.criterion == "none":
        assert world.measured(world.state(row.key, row.seed), "train") == (row.train_error, row.train_loss)


def _largest(world: _World, row: Any) -> None:
    if row.of == "solution" and row.quantile == 1:
        sizes = world.weights(row.key, row.seed).abs()
        mean = sizes.sum() / max(int((sizes > 0).sum()), 1)
        assert float(sizes.max() / mean) == pytest.approx(row.ratio, rel=1e-5)


def _points(world: _World, row: Any) -> None:
    ends = [(row.point_1, row.level_1, row.key), (row.point_2, row.level_2, row.other_key)]
    for point, level, key in ends:
        assert world.record(key)["stage"] == ("pretrain" if point == "rewind" else "train")
        assert point == "rewind" or world.record(key)["spec"]["level"] == level
    if all(point == "solution" or (point, level) == ("rewind", 0) for point, level, _ in ends):
        gap = world.weights(row.key, row.seed) - world.weights(row.other_key, row.seed)
        assert float(gap.norm()) == pytest.approx(row.distance, rel=1e-5)


def _ratio(world: _World, row: Any) -> None:
    (made,) = [node for node in world.plan.nodes.values() if node.stage == "adapt" and node.spec["level"] == row.level]
    assert (row.key,) == made.parents["state"]
    assert world.record(row.key)["spec"]["level"] == row.level - 1


def _solution(world: _World, row: Any) -> None:
    assert world.measured(world.state(row.key, row.seed), "train")[1] == row.train_loss


def _followed(world: _World, row: Any) -> None:
    assert world.measured(world.state(row.key, row.seed), "train", int(row.num_examples))[1] == pytest.approx(row.loss, rel=1e-5)


def _survivors(world: _World, row: Any) -> None:
    assert int((world.weights(row.key, row.seed) != 0).sum()) == row.dimension


def _as_in(table: str) -> Callable[[_World, Any], None]:
    """Check that a row is of the solution that rows of the table are of which it follows from."""

    def check(world: _World, row: Any) -> None:
        rows = world.tables[table]
        assert {row.key} == set(rows[(rows["seed"] == row.seed) & (rows["level"] == row.level)]["key"])

    return check


CHECKS: dict[str, Callable[[_World, Any], None]] = {
    "runs": _run, "curves": _last_point, "interpolation": _end, "instability": _mean_of_ends, "distances": _apart,
    "alignments": _aligned,
    "throughout": _kept_ends, "layers": _first_of_block, "similarity": _alike, "perturbations": _change,
    "telemetry": _watched, "signs": _signs, "validation": _validated,
    "spectrum": _loss, "curvature": _loss, "paths": _between, "barriers": _barrier, "planes": _plane, "marks": _mark,
    "cuts": _cut, "magnitudes": _largest, "geometry": _points, "ratios": _ratio, "fits": _solution, "limits": _as_in("fits"),
    "sets": _plane, "reaches": _plane, "radii": _followed, "class_means": _survivors, "measured_limits": _as_in("radii"),
    "outliers": _as_in("class_means"),
}  # fmt: skip


def test_every_table_has_a_check():
    assert set(CHECKS) | set(MANY) | OF_CHECKPOINTS == set(declared.COLUMNS)


@pytest.mark.parametrize("table", CHECKS)
def test_the_artifact_of_a_row_has_what_the_row_says(world, table):
    for row in world.tables[table].itertuples(index=False):
        CHECKS[table](world, row)
