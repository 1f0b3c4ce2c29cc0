"""Derivatives that a job computes for a chunk of seeds, and the masks that come of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import by_hand
import numpy as np
import pytest
import torch
import torch.nn.functional as F
import toys
from torch.func import functional_call

from pipeline_lib.core.parameters import prunable
from pipeline_lib.core.types import State
from pipeline_lib.experiments import config
from pipeline_lib.pruning import masks
from pipeline_lib.stages.masks import prune, score
from pipeline_lib.stages.support import data
from pipeline_lib.store import artifacts
from pipeline_lib.training.batches import Normaliser

Arrays = dict[str, np.ndarray]
DATASET = toys.dataset(num_train=40)
TASK = config.load_task("toy", {"toy": toys.task(network={"name": "mlp", "widths": [4]})})
NETWORK = data.build(TASK, DATASET)
NAMES = prunable(NETWORK)
SPEC = {"task": TASK, "batch_size": 6, "examples": 2000, "seeds": [0, 1], "k": 2, "level": 1}


def _reads(root: Path, mask: list[Arrays] | None, lost: list[bool]) -> dict[str, list[Path]]:
    folder = root / "data-data"
    data.write(folder / "data.safetensors", DATASET, replace(by_hand.job(root, {}, {}), key="data"))
    states = [toys.start(NETWORK, seed) for seed in (0, 1)]
    reads = {"data": [folder], "state": [by_hand.whole_state(root, "state", states, NAMES, lost)]}
    return reads | ({"mask": [by_hand.mask(root, "mask", mask, lost)]} if mask else {})


def _score(
    root: Path, derivative: str, mask: list[Arrays] | None = None, lost: tuple[bool, bool] = (False, False), **more: Any
) -> Arrays:
    job = by_hand.job(root, SPEC | {"derivative": derivative} | more, _reads(root, mask, list(lost)))
    score.run(job)
    return artifacts.read_arrays(job.folder / "scores.safetensors")[0]


def _gradient(state: State, mask: Arrays | None) -> Arrays:
    """Differentiate the mean loss over the whole training split in one piece."""
    state = toys.double(toys.masked(state, mask) if mask else state)
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in state.params.items()}
    x = Normaliser(DATASET)(DATASET.train.x).double()
    F.cross_entropy(functional_call(NETWORK, leaves, (x,)), DATASET.train.y).backward()
    return {name: leaves[name].grad.numpy() * (mask[name] if mask else 1) for name in NAMES}


def test_more_examples_than_there_are_is_all_of_them_each_once(tmp_path):
    found = _score(tmp_path, "gradients")
    for name in NAMES:
        assert found[name].dtype == np.float64
        for seed in (0, 1):
            np.testing.assert_allclose(found[name][seed], _gradient(toys.start(NETWORK, seed), None)[name], rtol=1e-4, atol=1e-6)


def test_a_dense_state_is_masked_first(tmp_path):
    mask = [toys.random_mask(NETWORK, seed) for seed in (0, 1)]
    found = _score(tmp_path, "gradients", mask)
    for seed in (0, 1):
        expected = _gradient(toys.start(NETWORK, seed), mask[seed])
        for name in NAMES:
            assert not found[name][seed][~mask[seed][name]].any()
            np.testing.assert_allclose(found[name][seed], expected[name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("mask", [None, "empty"])
def test_a_diverged_run_and_an_empty_network_score_nothing(tmp_path, mask):
    empty: Arrays = {name: np.zeros(NETWORK.get_parameter(name).shape, dtype=bool) for name in NAMES}
    lost = (mask is None, False)
    found = _score(tmp_path, "gradients", [empty, toys.random_mask(NETWORK)] if mask else None, lost)
    assert not any(found[name][0].any() for name in NAMES)
    assert all(found[name][1].any() for name in NAMES)


def _drawn(num: int, size: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return list(score._batches(data.World(TASK, DATASET, NETWORK), num, size))


@pytest.mark.parametrize(
    ("num", "size", "sizes"), [(40, 40, [40]), (25, 6, [5] * 5), (7, 6, [4, 3]), (3, 6, [3]), (99, 7, [7, 7, 7, 7, 6, 6])]
)
def test_mini_batches_are_of_nearly_one_size_and_at_most_the_tasks(num, size, sizes):
    assert [len(y) for _, y in _drawn(num, size)] == sizes


def test_examples_are_drawn_once_and_without_repetition():
    first, again, fewer = _drawn(40, 6), _drawn(40, 6), _drawn(20, 6)
    assert all(torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) for a, b in zip(first, again, strict=True))
    assert len(torch.cat([x for x, _ in first]).flatten(1).unique(dim=0)) == 40
    assert not torch.equal(torch.cat([x for x, _ in first])[:20], torch.cat([x for x, _ in fewer]))
    x = Normaliser(DATASET)(DATASET.train.x)
    for image, label in zip(torch.cat([x for x, _ in first]), torch.cat([y for _, y in first]), strict=True):
        (number,) = (x == image).flatten(1).all(1).nonzero()[:, 0].tolist()
        assert label == DATASET.train.y[number]


def _pruned(root: Path, scores: Arrays, **more: Any) -> Arrays:
    folder = root / "score-score"
    artifacts.write_arrays(folder / "scores.safetensors", scores, {"key": "score"})
    spec = {"criterion": "snip", "scope": "global", "fraction": 0.25, "seeds": [0, 1], "k": 2, "level": 1} | more
    state = _reads(root, None, [False, False])["state"]
    job = by_hand.job(root, spec, {"state": state, "gradients": [folder]})
    prune.run(job)
    return artifacts.read_arrays(job.folder / "mask.safetensors")[0]


def test_prune_reads_each_seeds_own_derivatives(tmp_path):
    rng = np.random.default_rng(0)
    scores = {name: rng.standard_normal((2, *NETWORK.get_parameter(name).shape)) for name in NAMES}
    found = _pruned(tmp_path, scores)
    for seed in (0, 1):
        weights = {name: toys.start(NETWORK, seed).params[name].numpy() for name in NAMES}
        ranked = np.sort(np.concatenate([np.abs(weights[name] * scores[name][seed]).ravel() for name in NAMES]))
        lowest = ranked[int(np.ceil(0.25 * len(ranked)))]
        for name in NAMES:
            assert np.array_equal(found[name][seed], np.abs(weights[name] * scores[name][seed]) >= lowest)
    assert masks.num_kept({name: found[name][0] for name in NAMES}) == int(0.75 * sum(found[name][0].size for name in NAMES))


def test_a_derivative_that_is_not_finite_is_refused_by_criterion_and_layer(tmp_path):
    scores = {name: np.ones((2, *NETWORK.get_parameter(name).shape)) for name in NAMES}
    scores[NAMES[1]][1, 0, 0] = np.inf
    with pytest.raises(ValueError, match=f"scores of criterion snip must be finite, got NaN or infinity in {NAMES[1]}; if the"):
        _pruned(tmp_path, scores)
