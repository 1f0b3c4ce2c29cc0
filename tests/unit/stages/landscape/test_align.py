"""Aligned pairs, within a seed and across seeds, and lines between them, over artifacts written by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import toys

from pipeline_lib.core import permutations
from pipeline_lib.core.parameters import prunable
from pipeline_lib.core.rng import numpy_generator
from pipeline_lib.networks.mlp import mlp
from pipeline_lib.networks.symmetries import mlp as symmetries
from pipeline_lib.stages.landscape import align, interpolate
from pipeline_lib.stages.support import data
from pipeline_lib.store import artifacts, device
from pipeline_lib.store.job import Job
from pipeline_lib.tables import columns, tabulation
from pipeline_lib.training.evaluation import evaluate

DATA = toys.dataset(num_train=61, num_test=47)
WIDTHS = [5, 4]
NETWORK = mlp(toys.SHAPE, toys.CLASSES, WIDTHS)
AXES = symmetries.mlp(toys.SHAPE, toys.CLASSES, WIDTHS)
# The two orders of seed 3 are two networks under one mask; seed 8 is the first of them with its units, and its mask, permuted.
PAIRS = [[3, 0, 1], [3, 0, 0, 8]]
MEMBERS = [[[3, 0], [3, 1]], [[8, 0]]]
MOVES = permutations.drawn({"fc1": 5, "fc2": 4}, numpy_generator("own"))
TASK = {
    **{"name": "toy", "network": {"name": "mlp", "widths": WIDTHS}, "dataset": {}},
    **{"precision": "fp32", "channels_last": False},
}
SPEC = {"task": TASK, "kind": "imp", "k": 2, "level": 1, "pairs": PAIRS}


def _mask(seed: int) -> dict[str, np.ndarray]:
    mask = toys.random_mask(NETWORK, density=0.8)
    return permutations.permuted_mask(mask, AXES, MOVES) if seed == 8 else mask


def _state(seed: int, order: int):
    state = toys.masked(toys.start(NETWORK, order), _mask(3))
    return permutations.permuted_state(state, AXES, MOVES) if seed == 8 else state


class Folders:
    """What jobs read, and the jobs."""

    def __init__(self, folder: Path, lost: bool = False) -> None:
        self._folder, own = folder, folder / "data-0"
        data.write(own / "data.safetensors", DATA, Job("0", {}, own, {}))
        self.reads = {"data": [own], "states": [folder / "run0-0", folder / "run1-1"]}
        self.reads["masks"] = [folder / "mask3-3", folder / "mask8-8"]
        for i, members in enumerate(MEMBERS):
            self._write_run(i, members, lost and i == 1)
        for seed in (3, 8):
            self._write_mask(seed, seed)

    def _write_mask(self, seed: int, called: int) -> None:
        stacked = {name: mask[None] for name, mask in _mask(seed).items()}
        meta = Job(str(seed), {"seeds": [called]}, self._folder, {}).meta(diverged=[False])
        artifacts.write_arrays(self._folder / f"mask{seed}-{seed}" / "mask.safetensors", stacked, meta)

    def call_seed_8_the_next_level_of_seed_3(self) -> None:
        self._write_run(1, MEMBERS[1], False, [[3, 0]])
        self._write_mask(8, 3)
        self.reads["states"], self.reads["others"] = self.reads["states"][:1], self.reads["states"][1:]
        self.reads["masks"] = self.reads["masks"][1:]

    def _write_run(self, i: int, members: list[list[int]], lost: bool, called: list[list[int]] | None = None) -> None:
        states = [_state(*member) for member in members]
        errors = {s: [evaluate(NETWORK, state, getattr(DATA, s), DATA).error for state in states] for s in ("train", "test")}
        head: dict[str, Any] = {"errors": errors, "density": [0.8] * len(states), "diverged": [lost] * len(states)}
        head |= {"prunable": prunable(NETWORK), "params": list(states[0].params)}
        job = Job(str(i), {"members": called or members}, self._folder, {})
        artifacts.write_states(self._folder / f"run{i}-{i}" / "state.safetensors", states, job.meta(**head))

    def align(self, method: str) -> Path:
        folder = self._folder / f"{method}-7"
        spec = SPEC | {"other_level": 1, "members": [[3, 1], [8, 0]], "alignment": method, "starts": 4, "examples": 50}
        align.run(Job("7", spec, folder, self.reads))  # type: ignore[arg-type]
        return folder

    def interpolate(self, method: str) -> dict[str, pd.DataFrame]:
        folder, reads = self._folder / f"lines_{method}-9", dict(self.reads)
        if method != "none":
            reads["aligned"] = [self.align(method)]
        spec = SPEC | {"alphas": 5, "splits": ["test"], "batchnorm": ["averaged", "repaired"], "alignment": method}
        interpolate.run(Job("9", spec, folder, reads))  # type: ignore[arg-type]
        return {name: pd.read_parquet(folder / f"{name}.parquet") for name in ("interpolation", "instability", "distances")}


@pytest.fixture(autouse=True)
def _cpu(monkeypatch):
    monkeypatch.setenv(device.VARIABLE, "cpu")


@pytest.mark.parametrize("method", ["weights", "activations"])
def test_the_second_run_is_permuted_with_its_mask_and_its_own_permutation_found(tmp_path, method):
    folder = Folders(tmp_path).align(method)
    states, meta = artifacts.read_states(folder / "state.safetensors")
    masks, _ = artifacts.read_masks(folder / "mask.safetensors")
    rows = pd.read_parquet(folder / "alignments.parquet")
    assert (states[0].params.keys(), meta["diverged"]) == (_state(3, 0).params.keys(), [False, False])
    assert toys.same_state(states[1], _state(3, 0))
    assert rows["after"][1] == pytest.approx(1)
    for state, mask in zip(states, masks, strict=True):
        assert toys.same_state(toys.masked(state, mask), state)
    assert rows[["seed", "other_seed", "order_1", "order_2"]].to_numpy().tolist() == [[3, 3, 0, 1], [3, 8, 0, 0]]
    assert (rows["after"] > rows["before"]).all()
    assert rows["moved"].between(0, 1).all()
    assert set(rows["alignment"]) == {method}
    for state, seed_and_order in zip(states, ((3, 1), (8, 0)), strict=True):
        own = evaluate(NETWORK, _state(*seed_and_order), DATA.test, DATA)
        assert evaluate(NETWORK, state, DATA.test, DATA).loss == pytest.approx(own.loss, rel=1e-5)


def test_lines_see_permuted_runs_and_say_so(tmp_path):
    folders = Folders(tmp_path)
    plain = folders.interpolate("none")
    found = {name: pd.concat([plain[name], each]) for name, each in folders.interpolate("weights").items()}
    apart = found["distances"].set_index(["other_seed", "alignment"])["l2_params"]
    assert apart[8, "weights"] == pytest.approx(0, abs=1e-6)
    assert apart[3, "weights"] < apart[3, "none"]
    assert apart[8, "none"] > 0
    ends = found["instability"].set_index(["other_seed", "alignment", "batchnorm"])
    assert ends.loc[(8, "weights", "averaged"), "loss_barrier"] == pytest.approx(0, abs=1e-6)
    for seed in (3, 8):
        same = ends.loc[seed]["mean_end_error"].tolist()
        assert same == pytest.approx([same[0]] * 4), "permutations and repairs leave the ends as they are"
    assert len(found["interpolation"]) == 2 * 2 * 2 * 5


def test_pairs_with_a_diverged_run_stay_as_they_are_and_measure_nothing(tmp_path):
    folders = Folders(tmp_path, lost=True)
    rows = pd.read_parquet(folders.align("weights") / "alignments.parquet")
    assert rows["after"].notna().tolist() == [True, False]
    ends = folders.interpolate("weights")["instability"]
    assert ends["instability"].notna().tolist() == (ends["other_seed"] == 3).tolist()


def test_networks_of_two_levels_are_aligned_though_seed_and_order_are_equal(tmp_path):
    """Seed 8's network is seed 3's with its units permuted, here as the same seed's next level, under a mask of its own."""
    folders = Folders(tmp_path)
    folders.call_seed_8_the_next_level_of_seed_3()
    spec = SPEC | {
        "pairs": [[3, 0, 0]],
        "members": [[3, 0]],
        "other_level": 2,
        "alignment": "weights",
        "starts": 4,
        "examples": 50,
    }
    align.run(Job("7", spec, tmp_path / "aligned-7", folders.reads))  # type: ignore[arg-type]
    (state,), _ = artifacts.read_states(tmp_path / "aligned-7" / "state.safetensors")
    (mask,), _ = artifacts.read_masks(tmp_path / "aligned-7" / "mask.safetensors")
    assert toys.same_state(state, _state(3, 0))
    assert all(np.array_equal(keep, _mask(3)[name]) for name, keep in mask.items())
    (row,) = pd.read_parquet(tmp_path / "aligned-7" / "alignments.parquet").to_dict("records")
    assert (row["level"], row["other_level"], row["key"], row["other_key"]) == (1, 2, "0", "1")
    assert row["after"] == pytest.approx(1)


def test_tables_are_divided_into_pairs_as_trained_and_all(tmp_path):
    folders, declared = Folders(tmp_path), interpolate.STAGE["interpolate"]["tables"]["instability"]
    for method in ("none", "weights"):
        folders.interpolate(method)
    parts = [tmp_path / f"lines_{method}-9" / "instability.parquet" for method in ("none", "weights")]
    members = {"0": MEMBERS[0], "1": MEMBERS[1]}
    table = tabulation.tabulate(
        parts, columns.of("instability", declared), chance={"toy": 2 / 3}, members=lambda key: members.get(key, ())
    ).to_pandas()
    found = tabulation.divided({"instability": table})
    assert len(found["every_instability"]) == len(table) == 8
    plain = found["instability"]
    assert (set(plain["alignment"]), set(plain["other_seed"]), len(plain)) == ({"none"}, {3}, 2)
    places = table[["other_seed", "member", "other_member"]].drop_duplicates().to_numpy().tolist()
    assert places == [[3, 0, 1], [8, 0, 0]]
