"""Lines between networks of one seed, over artifacts written by hand: two seeds, three levels, and a run from a changed start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import toys

from pipeline_lib.analysis.paths import alphas
from pipeline_lib.core import algebra
from pipeline_lib.core.parameters import prunable
from pipeline_lib.core.types import State
from pipeline_lib.planning import declared
from pipeline_lib.stages.landscape import connect
from pipeline_lib.stages.support import data
from pipeline_lib.store import artifacts, device
from pipeline_lib.store.job import Job
from pipeline_lib.tables import tabulation
from pipeline_lib.training.evaluation import Score, evaluate

SEEDS = [5, 2]
DATA = toys.dataset(num_train=61, num_test=47)
CHANGED = "k2 | noise(1)"
STATES = [*(("k2", level) for level in range(3)), (CHANGED, 1)]
# Networks: the three solutions and the changed run, then the solutions of levels 0 and 1 with the masks of levels 1 and 2.
POINTS = [*({"state": i, "mask": None} for i in range(4)), *({"state": i, "mask": i} for i in range(2))]
LINES = [
    ("levels", "k2", 0, 1, 0, 1),
    ("levels", "k2", 0, 2, 0, 2),
    ("levels", "k2", 1, 2, 1, 2),
    ("projection", "k2", 0, 1, 0, 4),
    ("projection", "k2", 1, 2, 1, 5),
    ("perturbed", CHANGED, 1, 1, 1, 3),
]
PAIRS = [dict(zip(("what", "start", "level_1", "level_2", "i", "j"), line, strict=True)) for line in LINES]
MEASURED = [
    *("error_1", "error_2", "mean_end_error", "max_error", "instability", "barrier", "loss_barrier", "midpoint_error"),
    *("l2_params", "l2_weights"),
]


@pytest.fixture(params=list(toys.NETWORKS), autouse=True)
def network(request, monkeypatch):
    network = toys.NETWORKS[request.param]()
    monkeypatch.setattr(data, "build", lambda *_: network)
    monkeypatch.setenv(device.VARIABLE, "cpu")
    return network


def _mask(network, seed: int, level: int) -> dict[str, np.ndarray]:
    return toys.random_mask(network, 10 * seed + level, density=1 - 0.3 * level)


def _solution(network, seed: int, start: str, level: int) -> State:
    state = toys.scrambled(network, 100 * seed + 10 * (start == CHANGED) + level)
    return toys.masked(state, _mask(network, seed, level))


def _networks(network, seed: int) -> list[State]:
    """The networks of one seed as `POINTS` lists them."""
    runs = [_solution(network, seed, *which) for which in STATES]
    return [*runs, toys.masked(runs[0], _mask(network, seed, 1)), toys.masked(runs[1], _mask(network, seed, 2))]


def _task() -> dict[str, Any]:
    return {"name": "toy", "network": {}, "dataset": {}, "precision": "float32", "channels_last": False}


class Chunk:
    """The artifacts that a job over some seeds reads, and the job."""

    def __init__(self, folder: Path, network, seeds: list[int], **spec: Any) -> None:
        self._folder, self._network, self._seeds = folder, network, seeds
        reads = {
            "data": [folder / "data-0"],
            "states": [folder / f"run{i}-{i}" for i in range(len(STATES))],
            "masks": [folder / f"mask{level}-{level}" for level in (1, 2)],
        }
        data.write(reads["data"][0] / "data.safetensors", DATA, Job("0", {}, reads["data"][0], {}))
        for i in range(len(STATES)):
            self.write_run(i)
        for level in (1, 2):
            self.write_mask(level)
        given = {"task": _task(), "seeds": seeds, "k": 2, "alphas": 5, "splits": ["train", "test"]}
        self.job = Job("9", given | {"points": POINTS, "pairs": PAIRS} | spec, folder / "connect-9", reads)

    def write_run(self, i: int, states: list[State] | None = None, **changed: Any) -> None:
        start, level = STATES[i]
        own = [_solution(self._network, seed, start, level) for seed in self._seeds]
        errors = {
            split: [evaluate(self._network, state, getattr(DATA, split), DATA).error for state in own]
            for split in ("train", "test")
        }
        head = {"errors": errors, "density": [0.9**level] * len(own), "diverged": [False] * len(own)}
        members = [[seed, 7] for seed in self._seeds]
        job = Job(str(i), {"members": members, "start": start, "level": level}, self._folder, {})
        meta = job.meta(prunable=prunable(self._network), params=list(own[0].params), **head | changed)
        artifacts.write_states(self._folder / f"run{i}-{i}" / "state.safetensors", states or own, meta)

    def write_mask(self, level: int, diverged: bool = False, ones: bool = False) -> None:
        members = [_mask(self._network, seed, level) for seed in self._seeds]
        stacked = {name: np.stack([mask[name] | ones for mask in members]) for name in members[0]}
        meta = Job(str(level), {"seeds": self._seeds}, self._folder, {}).meta(diverged=[diverged] * len(members))
        artifacts.write_arrays(self._folder / f"mask{level}-{level}" / "mask.safetensors", stacked, meta)

    def run(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        connect.run(self.job)
        paths, barriers = (tabulation.read(self.job.folder / f"{name}.parquet") for name in ("paths", "barriers"))
        return paths, barriers


def _of(frame: pd.DataFrame, pair: dict[str, Any], seed: int, split: str = "test") -> pd.DataFrame:
    chosen = (frame["seed"] == seed) & (frame["split"] == split)
    for key in ("what", "start", "level_1", "level_2"):
        chosen &= frame[key] == pair[key]
    return frame[chosen]


def _on_the_line(network, pair: dict[str, Any], seed: int, alpha: float, split: str) -> Score:
    states = _networks(network, seed)
    first, second = states[pair["i"]], states[pair["j"]]
    mixture = State(algebra.lerp(second.params, first.params, alpha), algebra.lerp(second.buffers, first.buffers, alpha))
    return evaluate(network, mixture, getattr(DATA, split), DATA)


def test_rows_have_the_documented_columns_and_there_is_one_a_point_and_one_a_line(network, tmp_path):
    for name, frame in zip(("paths", "barriers"), Chunk(tmp_path, network, SEEDS).run(), strict=True):
        assert set(frame.columns) == set(tabulation.measured(declared.COLUMNS[name]))
        assert len(frame) == len(SEEDS) * len(PAIRS) * 2 * (5 if name == "paths" else 1)
        assert frame.notna().all(axis=None)
        assert set(frame["k"]) == {2}
        assert set(frame["task"]) == {"toy"}


@pytest.mark.parametrize("split", ["train", "test"])
def test_points_are_the_mixtures_own_evaluations(network, tmp_path, split):
    paths, _ = Chunk(tmp_path, network, SEEDS).run()
    for seed in SEEDS:
        for pair in PAIRS:
            rows = _of(paths, pair, seed, split)
            assert rows["alpha"].tolist() == alphas(5)
            scores = [_on_the_line(network, pair, seed, alpha, split) for alpha in rows["alpha"]]
            assert rows["error"].tolist() == [score.error for score in scores]
            assert rows["loss"].tolist() == pytest.approx([score.loss for score in scores], rel=1e-5)


def test_a_barrier_is_the_highest_excess_over_the_chord(network, tmp_path):
    paths, barriers = Chunk(tmp_path, network, SEEDS).run()
    assert (barriers["barrier"] > 0).any()
    for seed in SEEDS:
        for pair in PAIRS:
            rows, (summary,) = _of(paths, pair, seed), _of(barriers, pair, seed).to_dict("records")
            for column, barrier in (("error", "barrier"), ("loss", "loss_barrier")):
                values = rows.set_index("alpha")[column]
                excess = values - (values.index * values[1.0] + (1 - values.index) * values[0.0])
                assert summary[barrier] == pytest.approx(max(excess.max(), 0))
            errors = rows.set_index("alpha")["error"]
            assert (summary["error_1"], summary["error_2"]) == (errors[1.0], errors[0.0])
            assert summary["mean_end_error"] == pytest.approx((errors[1.0] + errors[0.0]) / 2)
            assert (summary["max_error"], summary["midpoint_error"]) == (errors.max(), errors[0.5])
            assert summary["instability"] == summary["max_error"] - summary["mean_end_error"]


def test_a_projection_is_the_masked_network_and_its_density_is_the_masks(network, tmp_path):
    paths, barriers = Chunk(tmp_path, network, SEEDS).run()
    for seed in SEEDS:
        for pair in PAIRS[3:5]:
            mask, level = _mask(network, seed, pair["level_2"]), pair["level_1"]
            pruned = toys.masked(_solution(network, seed, "k2", level), mask)
            score = evaluate(network, pruned, DATA.test, DATA)
            end = _of(paths, pair, seed).set_index("alpha").loc[0.0]
            assert (end["error"], end["loss"]) == (score.error, score.loss)
            (summary,) = _of(barriers, pair, seed).to_dict("records")
            kept = sum(keep.sum() for keep in mask.values()) / sum(keep.size for keep in mask.values())
            assert (summary["density_1"], summary["density_2"]) == (0.9**level, kept)
            assert summary["l2_weights"] == summary["l2_params"] > 0


def test_distances_are_over_all_parameters_and_over_prunable_weights(network, tmp_path):
    _, barriers = Chunk(tmp_path, network, SEEDS).run()
    for pair in PAIRS:
        first, second = (_networks(network, 2)[pair[end]].params for end in ("i", "j"))
        squares = {name: float(((first[name] - second[name]).double() ** 2).sum()) for name in first}
        summary = _of(barriers, pair, 2).iloc[0]
        assert summary["l2_params"] == pytest.approx(sum(squares.values()) ** 0.5)
        assert summary["l2_weights"] == pytest.approx(sum(squares[name] for name in prunable(network)) ** 0.5)


def test_the_midpoint_is_no_row_unless_it_is_asked_for(network, tmp_path):
    paths, barriers = Chunk(tmp_path, network, [2], alphas=4).run()
    assert set(paths["alpha"]) == {0, 1 / 3, 2 / 3, 1}
    for pair in PAIRS:
        assert _of(barriers, pair, 2)["midpoint_error"].item() == _on_the_line(network, pair, 2, 0.5, "test").error


def test_numbers_of_a_seed_do_not_depend_on_the_others(network, tmp_path):
    together = Chunk(tmp_path / "both", network, SEEDS).run()
    alone = [Chunk(tmp_path / str(seed), network, [seed]).run() for seed in SEEDS]
    for both, parts in zip(together, zip(*alone, strict=True), strict=True):
        pd.testing.assert_frame_equal(both, pd.concat(parts, ignore_index=True), check_exact=True)
    assert together[1].groupby("seed")["l2_params"].first().nunique() == 2


def _check_lost(barriers: pd.DataFrame, paths: pd.DataFrame, whole: pd.DataFrame, lost: list[int]) -> None:
    """Rows of the lost pairs are there without values; all others are as they would be without them."""
    assert len(barriers) == len(whole)
    for n, pair in enumerate(PAIRS):
        rows, expected = _of(barriers, pair, 5), _of(whole, pair, 5)
        assert rows[["density_1", "density_2"]].notna().all(axis=None)
        if n in lost:
            assert rows[MEASURED].isna().all(axis=None)
            assert _of(paths, pair, 5)["alpha"].tolist() == alphas(5)
            assert _of(paths, pair, 5)[["error", "loss"]].isna().all(axis=None)
        else:
            pd.testing.assert_frame_equal(rows, expected, check_exact=True)
        pd.testing.assert_frame_equal(_of(barriers, pair, 2), _of(whole, pair, 2), check_exact=True)


def test_a_pair_with_a_diverged_run_has_no_values(network, tmp_path):
    chunk = Chunk(tmp_path, network, SEEDS)
    _, whole = chunk.run()
    own = [evaluate(network, _solution(network, 2, *STATES[1]), split, DATA).error for split in (DATA.train, DATA.test)]
    errors = {"train": [None, own[0]], "test": [None, own[1]]}
    chunk.write_run(1, diverged=[True, False], errors=errors)
    paths, barriers = chunk.run()
    _check_lost(barriers, paths, whole, [0, 2, 4, 5])


def test_a_projection_by_a_diverged_ladders_mask_has_no_values(network, tmp_path):
    chunk = Chunk(tmp_path, network, [5])
    _, whole = chunk.run()
    chunk.write_mask(2, diverged=True)
    paths, barriers = chunk.run()
    _check_lost(barriers, paths, whole, [4])


def test_a_chunk_in_which_all_have_diverged_is_written(network, tmp_path):
    chunk = Chunk(tmp_path, network, [5])
    for i in range(len(STATES)):
        chunk.write_run(i, diverged=[True], errors={"train": [None], "test": [None]})
    paths, barriers = chunk.run()
    assert (len(paths), len(barriers)) == (2 * len(PAIRS) * 5, 2 * len(PAIRS))
    assert barriers[MEASURED].isna().all(axis=None)


def test_an_end_that_is_not_its_run_is_refused(network, tmp_path):
    chunk = Chunk(tmp_path, network, SEEDS)
    own = [evaluate(network, _solution(network, seed, *STATES[2]), DATA.train, DATA).error for seed in SEEDS]
    chunk.write_run(2, errors={"train": own, "test": [2.0, 2.0]})
    with pytest.raises(ValueError, match=r"end of a path must have its run's test error 2.0"):
        chunk.run()


def test_seeds_that_are_swapped_in_a_file_are_refused(network, tmp_path):
    chunk = Chunk(tmp_path, network, SEEDS)
    chunk.write_run(0, states=[_solution(network, seed, "k2", 0) for seed in reversed(SEEDS)])
    with pytest.raises(ValueError, match="end of a path must have its run's"):
        chunk.run()


def test_levels_with_equal_weights_are_refused(network, tmp_path):
    chunk = Chunk(tmp_path, network, [5])
    chunk.write_run(1, states=[_solution(network, 5, "k2", 0)])
    with pytest.raises(ValueError, match=r"networks \(seed 5, levels, levels 0 and 1, k2\) must differ, got equal weights"):
        chunk.run()


def test_a_projection_that_prunes_nothing_is_refused(network, tmp_path):
    chunk = Chunk(tmp_path, network, [5])
    chunk.write_mask(2, ones=True)
    with pytest.raises(ValueError, match=r"networks \(seed 5, projection, levels 1 and 2, k2\) must differ"):
        chunk.run()


def test_the_second_network_of_a_pair_is_the_one_that_was_permuted_and_rows_say_so(network, tmp_path):
    """What stands for the permuted one here is another network, so that its own numbers tell."""
    chunk = Chunk(tmp_path, network, SEEDS, points=POINTS[:3], pairs=PAIRS[:1], alignment="weights")
    other = [_solution(network, seed, CHANGED, 1) for seed in SEEDS]
    errors = {s: [evaluate(network, state, getattr(DATA, s), DATA).error for state in other] for s in ("train", "test")}
    chunk.write_run(1, errors=errors)  # a permutation leaves errors as they are
    chunk.job.reads["aligned"] = [tmp_path / "run3-3"]
    paths, barriers = chunk.run()
    assert set(paths["alignment"]) == set(barriers["alignment"]) == {"weights"}
    assert set(barriers["other_key"]) == {"1"}, "the run's own, where it was trained"
    for seed in SEEDS:
        rows = _of(paths, PAIRS[0], seed).set_index("alpha")
        wanted = _on_the_line(network, PAIRS[0] | {"j": 3}, seed, 0.5, "test")
        assert (rows["error"][0.5], rows["loss"][0.5]) == pytest.approx((wanted.error, wanted.loss), rel=1e-5)
        first, second = (_networks(network, seed)[i].params for i in (0, 3))
        gap = sum(float(((first[name] - second[name]).double() ** 2).sum()) for name in first) ** 0.5
        assert _of(barriers, PAIRS[0], seed)["l2_params"].item() == pytest.approx(gap)


def test_no_masks_are_needed_where_nothing_is_projected(network, tmp_path, caplog):
    chunk = Chunk(tmp_path, network, SEEDS, points=POINTS[:3], pairs=PAIRS[:3])
    chunk.job.reads.pop("masks")
    with caplog.at_level("INFO"):
        paths, _ = chunk.run()
    assert set(paths["what"]) == {"levels"}
    assert [record.getMessage().split(":")[0] for record in caplog.records] == ["seed 5", "seed 2"]
