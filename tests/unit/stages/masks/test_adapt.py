from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import by_hand
import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
import toys
from torch.func import functional_call

from pipeline_lib.core.parameters import prunable
from pipeline_lib.core.types import Split, State
from pipeline_lib.experiments import config
from pipeline_lib.planning import declared
from pipeline_lib.pretexts.support.streams import stream
from pipeline_lib.pruning import masks
from pipeline_lib.pruning.selection import prune
from pipeline_lib.stages.masks import adapt
from pipeline_lib.stages.masks.adapt import batch_losses, example_losses
from pipeline_lib.stages.support import data
from pipeline_lib.stages.support.training import Run, Setting, train_cohort
from pipeline_lib.store import artifacts
from pipeline_lib.tables import tabulation
from pipeline_lib.training.evaluation import evaluate, subset

SEEDS, ORDER, STEPS, EXAMPLES = [0, 1], 4, 60, 25
DATASET = toys.dataset(num_train=40)


def _task(**more: Any) -> dict[str, Any]:
    recipe = toys.task(batch_size=6, steps=STEPS, network={"name": "mlp", "widths": [8]}, **more)
    return config.load_task("toy", {"toy": recipe})


NETWORK = data.build(_task(), DATASET)
NAMES = prunable(NETWORK)


def _trained(seed: int, mask: dict[str, np.ndarray] | None = None) -> State:
    start = toys.start(NETWORK, seed)
    run = Run(toys.masked(start, mask) if mask else start, mask, (seed, ORDER))
    return train_cohort(Setting(_task(), NETWORK, DATASET, STEPS), [run])[0][0].state


def _bad(seed: int) -> State:
    return State({name: 30 * tensor for name, tensor in toys.start(NETWORK, seed).params.items()})


def _run(
    root: Path,
    solutions: list[State],
    dense: list[State],
    mask: list[dict[str, np.ndarray]] | None = None,
    lost: dict[str, list[bool]] | None = None,
    seeds: list[int] = SEEDS,
    **rule: Any,
) -> tuple[pd.DataFrame, list[dict[str, np.ndarray]], dict[str, Any]]:
    fine = [False] * len(seeds)
    lost = {"state": fine, "dense": fine, "mask": fine} | (lost or {})
    folder = root / "data-data"
    data.write(folder / "data.safetensors", DATASET, replace(by_hand.job(root, {}, {}), key="data"))
    reads = {"data": [folder]}
    reads["state"] = [by_hand.whole_state(root, "state", solutions, NAMES, lost["state"])]
    reads["dense"] = [by_hand.whole_state(root, "dense", dense, NAMES, lost["dense"])]
    reads |= {"mask": [by_hand.mask(root, "mask", mask, lost["mask"])]} if mask else {}
    spec = {"task": _task(), "seeds": seeds, "k": 2, "start": "k2 | adaptive(25)", "level": 3, "floor": 0.2, "scope": "global"}
    named = {"name": "adaptive", "examples": EXAMPLES, "threshold": "batch"} | rule
    job = by_hand.job(root, spec | {"criterion": "magnitude", "order": ORDER, "rule": named}, reads)
    adapt.run(job)
    arrays, head = artifacts.read_arrays(job.folder / "mask.safetensors")
    made = [{name: array[i] for name, array in arrays.items()} for i in range(len(seeds))]
    return tabulation.read(job.folder / "ratios.parquet"), made, head


def _masks() -> list[dict[str, np.ndarray]]:
    return [toys.random_mask(NETWORK, seed, 0.7) for seed in SEEDS]


def _pruned(state: State, mask: dict[str, np.ndarray], fraction: float) -> dict[str, np.ndarray]:
    weights = {name: state.params[name].numpy() for name in mask}
    return prune("magnitude", {"weights": weights}, mask, fraction, "global")


@pytest.mark.parametrize("toy", ["dense", "norm"])
def test_batch_losses_are_those_of_the_last_epochs_batches_as_training_sees_them(toy):
    network, dataset, task = toys.NETWORKS[toy](), toys.dataset(num_train=20), _task(pad=1, flip=True)
    state = toys.scrambled(network)
    before = {name: tensor.clone() for name, tensor in state.buffers.items()}
    found = batch_losses(network, state, task, dataset, (7, ORDER))
    batches, expected = stream(dataset, (7, ORDER), 6, 1, True), []
    network.train()
    for step in (STEPS - 3, STEPS - 2, STEPS - 1):  # 20 images make 3 batches an epoch
        batches.load(step)
        x, y = batches.draw()
        tensors = {**state.params, **{name: tensor.clone() for name, tensor in state.buffers.items()}}
        expected.append(F.cross_entropy(functional_call(network, tensors, (x,)), y))
    torch.testing.assert_close(found, torch.stack(expected).detach())
    assert toys.same(state.buffers, before)


def test_batch_losses_of_a_run_that_is_shorter_than_an_epoch_are_those_of_all_its_batches():
    network, task = toys.dense_net(), _task() | {"steps": 2}
    assert len(batch_losses(network, toys.start(network), task, toys.dataset(num_train=20), (0, 0))) == 2


def test_example_losses_have_the_mean_that_evaluation_finds():
    network, dataset = toys.norm_net(), toys.dataset(num_train=50)
    state = toys.scrambled(network)
    losses = example_losses(network, state, _task(), dataset, dataset.train)
    assert losses.shape == (50,)
    assert float(losses.mean()) == pytest.approx(evaluate(network, state, dataset.train, dataset).loss, rel=1e-6)


def _highest_loss(state: State, kept: dict[str, np.ndarray], subset: Split) -> float:
    losses = []
    for i in range(11):
        shrunk = {n: state.params[n] * torch.from_numpy(1 - i / 10 * ~keep).float() for n, keep in kept.items()}
        losses.append(evaluate(NETWORK, State({**state.params, **shrunk}, state.buffers), subset, DATASET).loss)
    return max(losses)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("threshold", ["batch", "sample"])
def test_each_row_says_what_the_ratio_costs_and_the_mask_is_made_with_the_chosen_one(tmp_path, sparse, threshold):
    dense = [_trained(seed) for seed in SEEDS]
    kept = _masks() if sparse else None
    solutions = [_trained(seed, mask) for seed, mask in zip(SEEDS, kept, strict=True)] if kept else dense
    rows, made, head = _run(tmp_path, solutions, dense, kept, threshold=threshold)
    assert set(rows.columns) == set(tabulation.measured(declared.COLUMNS["ratios"]))
    assert rows[["task", "k", "start", "level"]].drop_duplicates().values.tolist() == [["toy", 2, "k2 | adaptive(25)", 3]]
    assert head["diverged"] == [False, False]
    assert head["spec"]["criterion"] == "magnitude"  # what a run with this mask says of it
    seen = subset(DATASET.train, EXAMPLES, "adapt")
    assert len(seen.y) == EXAMPLES
    for i, seed in enumerate(SEEDS):
        own, mask = rows[rows["seed"] == seed], kept[i] if kept else {n: np.ones(dense[i].params[n].shape, bool) for n in NAMES}
        for row in own.itertuples():
            smaller = _pruned(solutions[i], mask, row.fraction)
            assert row.density == masks.density(smaller)
            assert row.highest_loss == pytest.approx(_highest_loss(solutions[i], smaller, seen), rel=1e-5)
        losses = example_losses(NETWORK, dense[i], _task(), DATASET, seen).double().numpy()
        noise = batch_losses(NETWORK, dense[i], _task(), DATASET, (seed, ORDER)).double().numpy().std()
        more = noise if threshold == "batch" else 2 * losses.std(ddof=1) / EXAMPLES**0.5
        assert own["threshold"].unique() == pytest.approx(losses.mean() + more)
        (fraction,) = own.loc[own["chosen"], "fraction"]
        expected = _pruned(solutions[i], mask, fraction)
        assert all(np.array_equal(made[i][name], expected[name]) for name in NAMES)
    assert rows.groupby("seed")["fraction"].count().ge(2).all()


def test_a_solution_that_is_better_than_the_dense_network_is_pruned_as_far_as_ratios_go(tmp_path):
    rows, made, _ = _run(tmp_path, [toys.start(NETWORK, seed) for seed in SEEDS], [_bad(seed) for seed in SEEDS])
    assert rows.loc[rows["chosen"], "fraction"].tolist() == [0.9, 0.9]
    assert rows["fraction"].tolist() == [n / 10 for n in range(1, 10)] * 2
    assert [masks.density(mask) for mask in made] == pytest.approx([0.1, 0.1], abs=0.01)


def test_a_solution_that_is_worse_already_is_pruned_by_the_floor(tmp_path):
    rows, _, _ = _run(tmp_path, [_bad(seed) for seed in SEEDS], [_trained(seed) for seed in SEEDS])
    assert rows[["fraction", "chosen"]].values.tolist() == [[0.1, False], [0.2, True]] * 2
    assert (rows["highest_loss"] > rows["threshold"]).all()


@pytest.mark.parametrize("role", ["state", "dense", "mask"])
def test_where_a_run_has_diverged_the_floor_is_taken_and_the_mask_says_so(tmp_path, role):
    states, kept = [toys.masked(toys.start(NETWORK, seed), mask) for seed, mask in zip(SEEDS, _masks(), strict=True)], _masks()
    rows, made, head = _run(tmp_path, states, states, kept, {role: [False, True]})
    assert head["diverged"] == [False, True]
    (row,) = rows[rows["seed"] == 1].to_dict("records")
    assert (row["fraction"], row["chosen"]) == (0.2, True)
    assert pd.isna([row["highest_loss"], row["threshold"]]).all()
    expected = _pruned(states[1], kept[1], 0.2)
    assert all(np.array_equal(made[1][name], expected[name]) for name in NAMES)
    assert row["density"] == masks.density(expected)
    assert rows[rows["seed"] == 0]["highest_loss"].notna().all()


def test_a_members_mask_does_not_depend_on_its_cohort(tmp_path):
    states = [_trained(seed) for seed in SEEDS]
    rows, made, _ = _run(tmp_path / "both", states, states)
    alone, own, _ = _run(tmp_path / "alone", states[1:], states[1:], seeds=[1])
    pd.testing.assert_frame_equal(rows[rows["seed"] == 1].reset_index(drop=True), alone, check_exact=True)
    assert all(np.array_equal(made[1][name], own[0][name]) for name in NAMES)


def test_a_rule_must_look_at_two_images_at_least(tmp_path):
    states = [_trained(seed) for seed in SEEDS]
    with pytest.raises(ValueError, match="examples must be at least 2, got 1; the rule needs the mean loss"):
        _run(tmp_path, states, states, examples=1)
