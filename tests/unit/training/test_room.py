from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
import toys

from pipeline_lib.analysis import planes
from pipeline_lib.analysis.curvature import OPERATORS
from pipeline_lib.analysis.paths import alphas, layerwise, paths, recomputed_paths
from pipeline_lib.core.parameters import prunable
from pipeline_lib.training import evaluation
from pipeline_lib.training.evaluation import chunks, evaluate
from pipeline_lib.training.precision import Numerics
from pipeline_lib.training.room import fitting, sized

DATA = toys.dataset(num_train=20, num_test=13)
FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


@pytest.fixture
def small(monkeypatch) -> list[int]:
    """A device that has room for five images at a time, and what it was given."""
    sizes: list[int] = []
    real = torch.nn.Linear.forward

    def forward(self, x):
        sizes.append(len(x))
        if len(x) > 5:
            raise FULL
        return real(self, x)

    monkeypatch.setattr(torch.nn.Linear, "forward", forward)
    return sizes


def _paths(network, states):
    return paths(network, states, [(0, 1)], alphas(3), DATA.test, DATA)[0, 1]


def _recomputed(network, states):
    return recomputed_paths(network, states, [(0, 1)], alphas(3), DATA.test, DATA, Numerics())[0, 1]


def _layers(network, states):
    found = layerwise(network, *states, alphas(3), DATA.test, DATA)
    return [score for scores in found.values() for score in scores]


def _evaluated(network, states):
    return [evaluate(network, states[0], DATA.test, DATA)]


def _plane(network, states):
    third = toys.start(network, 2)
    plane = planes.through((*states, third), prunable(network), follow=True)
    return planes.scores(network, plane, np.concatenate([plane.places, [[0.3, 0.2]]]), DATA.test, DATA)


@pytest.mark.parametrize("measure", [_evaluated, _paths, _recomputed, _layers, _plane])
def test_chunks_are_halved_until_they_fit(request, monkeypatch, measure):
    network = toys.dense_net()
    states = [toys.start(network, seed) for seed in (0, 1)]
    whole = measure(network, states)
    monkeypatch.setattr("pipeline_lib.analysis.paths.STATISTICS_CHUNK", 4)
    sizes = request.getfixturevalue("small")
    found = measure(network, states)
    assert [score.error for score in found] == [score.error for score in whole]
    assert [score.loss for score in found] == pytest.approx([score.loss for score in whole], rel=1e-5)
    assert max(sizes) > 5


@pytest.mark.parametrize("operator", OPERATORS)
def test_products_are_taken_in_chunks_that_fit(request, operator):
    network = toys.dense_net()
    state = toys.start(network)
    batches = partial(chunks, DATA.train, DATA, Numerics())
    product, gradient = OPERATORS[operator](network, state, batches, prunable(network), None)
    whole = product(gradient)
    sizes = request.getfixturevalue("small")
    again, same = OPERATORS[operator](network, state, batches, prunable(network), None)
    torch.testing.assert_close(same, gradient)
    tried = len(sizes)
    torch.testing.assert_close(again(gradient), whole)
    assert max(sizes[:tried]) > 5 >= max(sizes[tried:]), "what was found out is forgotten"


def test_a_batchs_own_statistics_are_not_taken_over_fewer_images(small):
    network = toys.dense_net()
    batches = partial(chunks, DATA.train, DATA, Numerics())
    with pytest.raises(torch.OutOfMemoryError):
        OPERATORS["hessian"](network, toys.start(network), batches, prunable(network), None, mode="train")


def test_what_cannot_be_halved_says_so_at_once():
    tries = []

    @fitting
    def work(size: int) -> None:
        tries.append(sized(size) if size else 0)
        raise FULL

    for size, tried in ((0, [0]), (6, [6, 3, 1])):
        tries.clear()
        with pytest.raises(torch.OutOfMemoryError):
            work(size)
        assert tries == tried


def test_sizes_are_the_usual_ones_elsewhere():
    usual = evaluation.chunk_size(DATA.test)
    assert [sized(7), usual] == [7, evaluation.chunk_size(DATA.test)]
