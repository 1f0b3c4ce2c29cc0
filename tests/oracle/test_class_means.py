"""Class means of gradients beside exact Gauss-Newton matrices; cannot say how good a forecast they are for a large network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import toys

from pipeline_lib.analysis.class_means import gram_values
from pipeline_lib.analysis.curvature import gauss_newton_product
from pipeline_lib.core.parameters import prunable

NUM = 23


def _world(name: str, masked: bool):
    network = toys.NETWORKS[name]()
    state, names = toys.double(toys.scrambled(network)), prunable(network)
    mask = toys.random_mask(network) if masked else {n: np.ones(state.params[n].shape, dtype=bool) for n in names}
    x, y = toys.DoubleStream(size=NUM).at(0)
    return network, state, names, mask, [(x[:9], y[:9]), (x[9:], y[9:])]


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("name", list(toys.NETWORKS))
def test_rank_by_rank_they_are_at_most_the_gauss_newton_matrixs(name, masked):
    network, state, names, mask, batches = _world(name, masked)
    found = gram_values(network, state, batches, names, mask, toys.CLASSES)
    product, gradient = gauss_newton_product(network, state, lambda: batches, names, mask)
    exact = np.linalg.eigvalsh(product(torch.eye(len(gradient), dtype=torch.float64)).numpy())[::-1]
    assert len(found) == toys.CLASSES
    assert (np.diff(found) <= 0).all()
    assert found[0] > 0.01 * exact[0]
    assert (found <= exact[: len(found)] * (1 + 1e-9) + 1e-12).all()


def test_one_class_has_one_mean():
    network, state, names, mask, batches = _world(next(iter(toys.NETWORKS)), False)
    x, y = batches[0]
    of_one = y == y[0]
    found = gram_values(network, state, [(x[of_one], y[of_one])], names, mask, toys.CLASSES)
    assert found[0] > 0
    assert (found[1:] < 1e-9 * found[0]).all()
