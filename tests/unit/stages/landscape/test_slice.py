"""Planes of one seed of a cohort, over artifacts written by hand."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import toys

from pipeline_lib.analysis.planes import Sums, scores, through
from pipeline_lib.core import pace
from pipeline_lib.core.parameters import prunable
from pipeline_lib.core.types import State
from pipeline_lib.planning import declared
from pipeline_lib.stages.landscape import slice as stage
from pipeline_lib.stages.support import data
from pipeline_lib.store import artifacts, device, resumption
from pipeline_lib.store.job import Job, Preempted
from pipeline_lib.tables import tabulation
from pipeline_lib.training.evaluation import evaluate

SEEDS = [5, 2, 8]
DATA = toys.dataset(num_test=47)
MARKS = {"pruning": ["solution", "projection", "next"], "directions": ["solution", "magnitude", "random"]}
NUM = 5


@pytest.fixture(params=list(toys.NETWORKS), autouse=True)
def network(request, monkeypatch):
    """Each network, and chunks of twenty images, so that the last is a partial one."""
    network = toys.NETWORKS[request.param]()
    monkeypatch.setattr(data, "build", lambda *_: network)
    monkeypatch.setattr("pipeline_lib.training.evaluation.chunk_size", lambda split: 20)
    monkeypatch.setattr("pipeline_lib.analysis.planes.chunk_size", lambda split: 20)
    monkeypatch.setenv(device.VARIABLE, "cpu")
    return network


def _mask(network, seed: int, name: str) -> dict[str, np.ndarray]:
    return toys.random_mask(network, 10 * seed + len(name), density=0.7)


def _run(network, seed: int, name: str) -> State:
    return toys.scrambled(network, 100 * seed + len(name))


def _networks(network, seed: int) -> dict[str, State]:
    """What should be at each mark, of both planes."""
    solution = _run(network, seed, "state")
    found = {"solution": solution, "next": _run(network, seed, "next")}
    found["projection"] = found["magnitude"] = toys.masked(solution, _mask(network, seed, "mask"))
    return found | {"random": toys.masked(solution, _mask(network, seed, "random"))}


class Chunk:
    """The artifacts that a job reads, of three seeds, the masks' in another order; and the job."""

    def __init__(self, folder: Path, network, plane: str, seeds: list[int], dense: bool = False) -> None:
        self._folder, self._network = folder, network
        roles = ["state", "mask", "next" if plane == "pruning" else "random", *(["dense"] if dense else [])]
        reads = {role: [folder / f"{role}-{role}"] for role in ("data", *roles)}
        data.write(reads["data"][0] / "data.safetensors", DATA, Job("data", {}, reads["data"][0], {}))
        for role in roles:
            (self.write_run if role in ("state", "next", "dense") else self.write_mask)(role)
        task = {"name": "toy", "network": {}, "dataset": {}, "precision": "fp32", "channels_last": False}
        spec = {"task": task, "seeds": seeds, "k": 2, "level": 3, "plane": plane, "points": NUM, "margin": 0.5}
        self.job = Job("9", spec, folder / "slice-9", reads)

    def write_run(self, role: str, states: list[State] | None = None, **changed: Any) -> None:
        own = [_run(self._network, seed, role) for seed in SEEDS]
        tests = [evaluate(self._network, state, DATA.test, DATA).error for state in own]
        head = {"errors": {"train": tests, "test": tests}, "density": [0.5] * 3, "diverged": [False] * 3} | changed
        job = Job(role, {"members": [[seed, 7] for seed in SEEDS]}, self._folder, {})
        meta = job.meta(prunable=prunable(self._network), params=list(own[0].params), **head)
        artifacts.write_states(self._folder / f"{role}-{role}" / "state.safetensors", states or own, meta)

    def write_mask(self, role: str, diverged: bool = False) -> None:
        members = [_mask(self._network, seed, role) for seed in SEEDS[::-1]]
        stacked = {name: np.stack([mask[name] for mask in members]) for name in members[0]}
        meta = Job(role, {"seeds": SEEDS[::-1]}, self._folder, {}).meta(diverged=[diverged] * 3)
        artifacts.write_arrays(self._folder / f"{role}-{role}" / "mask.safetensors", stacked, meta)

    def run(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        stage.run(self.job)
        planes, marks = (tabulation.read(self.job.folder / f"{name}.parquet") for name in ("planes", "marks"))
        return planes, marks


@pytest.fixture(params=list(MARKS))
def plane(request) -> str:
    return request.param


@pytest.fixture
def chunk(network, plane, tmp_path) -> Chunk:
    return Chunk(tmp_path, network, plane, [8, 2])


def test_rows_have_the_documented_columns_and_there_is_one_a_point_of_a_seed(chunk, plane):
    chunk.run()
    for name, num in (("planes", NUM**2), ("marks", 3)):
        frame = tabulation.read(chunk.job.folder / f"{name}.parquet")
        assert set(frame.columns) == set(tabulation.measured(declared.COLUMNS[name]))
        assert frame.drop(columns=["other_key", "reach"], errors="ignore").notna().all(axis=None)
        assert "other_key" not in frame or frame["other_key"].notna().all() == (plane == "pruning")
        assert frame.groupby("seed").size().to_dict() == dict.fromkeys((2, 8), num)
        assert set(zip(frame["task"], frame["plane"], frame["k"], frame["level"], strict=True)) == {("toy", plane, 2, 3)}
    assert not list(chunk.job.folder.glob(".*"))


def test_marks_are_the_networks_themselves(network, chunk, plane):
    """Their errors are their own, bit for bit, and their places are as far apart as they are."""
    _, marks = chunk.run()
    for seed, own in marks.groupby("seed"):
        states, rows = _networks(network, seed), own.set_index("mark")
        assert sorted(rows.index) == sorted(MARKS[plane])
        for mark in MARKS[plane]:
            score = evaluate(network, states[mark], DATA.test, DATA)
            assert (rows.loc[mark, "test_error"], rows.loc[mark, "test_loss"]) == (score.error, score.loss)
            for other in MARKS[plane]:
                gap = sum(((states[mark].params[n] - states[other].params[n]).double() ** 2).sum() for n in prunable(network))
                places = rows.loc[[mark, other], ["x", "y"]].to_numpy()
                assert np.linalg.norm(places[0] - places[1]) == pytest.approx(float(gap) ** 0.5, rel=1e-5)


def test_axes_and_grid_are_those_of_the_plane(chunk, plane):
    planes, marks = chunk.run()
    for seed, own in marks.groupby("seed"):
        rows, grid = own.set_index("mark")[["x", "y"]], planes[planes["seed"] == seed]
        origin, along = ("projection", "next") if plane == "pruning" else ("solution", "magnitude")
        assert rows.loc[origin].tolist() == [0, 0]
        assert rows.loc[along, "y"] == 0
        assert rows.loc[along, "x"] > 0
        sides = grid[["x", "y"]].agg(["min", "max"])
        if plane == "pruning":
            extent = rows.max() - rows.min()
            np.testing.assert_allclose(sides.loc["min"], rows.min() - 0.5 * extent, atol=1e-9)
            np.testing.assert_allclose(sides.loc["max"], rows.max() + 0.5 * extent, atol=1e-9)
        else:
            far = np.linalg.norm(rows.to_numpy(), axis=1).max()
            np.testing.assert_allclose(sides.abs(), 1.5 * far)
        assert (grid["x"].nunique(), grid["y"].nunique()) == (NUM, NUM)


def test_points_are_scored_as_points_of_the_plane(network, chunk, plane):
    planes, _ = chunk.run()
    states = _networks(network, 2)
    corners = ("projection", "next", "solution") if plane == "pruning" else ("solution", "magnitude", "random")
    own = planes[planes["seed"] == 2]
    made = through(tuple(states[mark] for mark in corners), prunable(network), follow=plane == "pruning")
    expected = scores(network, made, own[["x", "y"]].to_numpy(), DATA.test, DATA)
    assert own["test_error"].tolist() == [score.error for score in expected]
    assert own["test_loss"].tolist() == [score.loss for score in expected]


def test_the_set_is_followed_to_its_border_and_the_window_shows_it(network, tmp_path, plane):
    """Dense networks are worse than the solution by little, and differ by a tenth: a set of its own beside the matching one."""
    chunk = Chunk(tmp_path, network, plane, [8, 2], dense=True)
    own = {seed: evaluate(network, _run(network, seed, "state"), DATA.test, DATA).error for seed in SEEDS}
    dense = [min(own.values()) + 0.05, min(own.values()) + 0.15, None]
    chunk.write_run("dense", errors={"train": dense, "test": dense}, diverged=[False, False, True])
    planes, marks = chunk.run()
    reaches = tabulation.read(chunk.job.folder / "reaches.parquet")
    assert {*reaches.columns} <= set(tabulation.measured(declared.COLUMNS["reaches"]))
    assert reaches.groupby("seed").size().to_dict() == {2: 8, 8: 8}
    names = ("projection", "next", "solution") if plane == "pruning" else ("solution", "magnitude", "random")
    for seed, rows in reaches.groupby("seed"):
        states, centre = _networks(network, seed), marks[(marks["seed"] == seed) & (marks["mark"] == "solution")].iloc[0]
        made = through(tuple(states[mark] for mark in names), prunable(network), follow=plane == "pruning")
        step = np.linalg.norm(made.places[[1, 2, 0]] - made.places, axis=1).max() / 8
        highest = np.mean(dense[:2]) + np.std(dense[:2], ddof=1)
        limits = rows.groupby("of")["threshold"].first()
        assert limits.tolist() == pytest.approx([highest, own[seed] + np.std(dense[:2], ddof=1)])
        for _, row in rows.iterrows():
            assert (row["reach"] == 0) == (own[seed] > row["threshold"])
            if pd.notna(row["reach"]) and row["reach"] > 0:
                way = np.array([1.0, 0.0] if row["axis"] == "x" else [0.0, 1.0]) * (1 if row["forwards"] else -1)
                near, far = (row["reach"] + side * step / 512 for side in (-1.01, 1.01))
                points = np.array([[centre["x"], centre["y"]] + r * way for r in (near, far)])
                inside, outside = (score.error for score in scores(network, made, points, DATA.test, DATA))
                assert inside <= row["threshold"] < outside
                end = points[1][0 if row["axis"] == "x" else 1]
                grid = planes[planes["seed"] == seed][row["axis"]]
                assert grid.min() <= end <= grid.max()


@pytest.mark.parametrize("role", ["state", "next"])
def test_a_diverged_run_leaves_no_rows_of_its_seed(network, tmp_path, role):
    chunk = Chunk(tmp_path, network, "pruning", [8, 2])
    chunk.write_run(role, diverged=[False, True, False], errors={"train": [None] * 3, "test": [0.0] * 3})
    with pytest.raises(ValueError, match="end of a path must have its run's test error"):
        chunk.run()  # the sound seed's own error is made up
    chunk.write_run(role, diverged=[False, True, False])
    for frame in chunk.run():
        assert set(frame["seed"]) == {8}


def test_three_networks_on_one_line_leave_no_rows_of_their_seed(network, tmp_path, plane, caplog):
    """Nothing that counts is pruned: the projection is the solution itself."""
    chunk = Chunk(tmp_path, network, plane, [8, 2])
    at = SEEDS[::-1].index(2)
    arrays, meta = artifacts.read_arrays(tmp_path / "mask-mask" / "mask.safetensors")
    for array in arrays.values():
        array[at] = True
    artifacts.write_arrays(tmp_path / "mask-mask" / "mask.safetensors", arrays, meta)
    with caplog.at_level("INFO"):
        frames = chunk.run()
    for frame in frames:
        assert set(frame["seed"]) == {8}
    assert "seed 2: no plane, three networks must span a plane" in caplog.text


def test_where_all_have_diverged_there_are_no_rows(network, tmp_path, plane):
    chunk = Chunk(tmp_path, network, plane, [8, 2])
    chunk.write_mask("mask", diverged=True)
    for frame in chunk.run():
        assert len(frame) == 0


@pytest.mark.parametrize("stopped", [1, 28, 29, 83, 84, 85, 140, 168])
def test_a_job_that_was_stopped_goes_on_to_the_same_tables(chunk, monkeypatch, stopped):
    """28 points in three chunks, of two seeds: stopped within a chunk, between two, between seeds, and at the very end."""
    whole = chunk.run()
    add, done = Sums.add, []

    def counting(sums: Sums, *rest: Any) -> None:
        done.append(sums.done)
        if len(done) == stopped:
            os.kill(os.getpid(), signal.SIGTERM)
        add(sums, *rest)

    monkeypatch.setattr(Sums, "add", counting)
    handler = signal.getsignal(signal.SIGTERM)
    for name in ("planes", "marks", "reaches"):
        (chunk.job.folder / f"{name}.parquet").unlink()
    with pytest.raises(Preempted):
        chunk.run()
    assert signal.getsignal(signal.SIGTERM) is handler
    assert [path.name for path in chunk.job.folder.iterdir()] == [resumption.NAME]
    assert len(done) == stopped
    for again, before in zip(chunk.run(), whole, strict=True):
        pd.testing.assert_frame_equal(again, before, check_exact=True)
    assert len(done) == 2 * 3 * (NUM**2 + 3)
    assert not list(chunk.job.folder.glob(".*"))


def test_progress_is_logged_with_the_time_left(chunk, monkeypatch, caplog):
    caplog.set_level("INFO")
    monkeypatch.setattr(pace, "SECONDS", 0.0)
    chunk.run()
    lines = [record.message for record in caplog.records if "evaluation" in record.message]
    assert lines[0].startswith("seed 8 evaluation 1/84, ")
    assert lines[-1].startswith("seed 2 evaluation 84/84, ")
    assert lines[-1].endswith(" a second, 0 s left")
    told = [record for record in caplog.records if hasattr(record, "pace")]
    assert (told[-1].who, told[-1].pace.done, told[-1].pace.total) == ("seed 2", 84, 84)
