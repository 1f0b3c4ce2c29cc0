"""Limits of pruning beside those of the exact matrices of a trained network, of which numpy has every eigenvalue.

Nothing here says what a network of more weights than some thousands needs.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn

from pipeline_lib.analysis.curvature import OPERATORS
from pipeline_lib.analysis.lanczos import cut_short
from pipeline_lib.analysis.resolution import lowest_node, settled, unsettled
from pipeline_lib.analysis.spectra import Spectrum, f_max, f_max_bounds, spectrum
from pipeline_lib.core.rng import torch_generator
from pipeline_lib.core.types import State

SHARES = np.geomspace(1e-1, 1e-5, 13)  # of the largest eigenvalue: what c = 2 epsilon / R^2 is at digits' solutions, and less
TOLERANCE = 0.02
ITERATIONS, NUM_PROBES = (40, 60, 80, 120, 200), (1, 2, 4)


@cache
def _world(seed: int) -> tuple[nn.Sequential, State, Tensor, Tensor]:
    """A network of 1,760 weights, trained on digits to a loss of some 0.05."""
    digits = load_digits()
    x, y = torch.tensor(digits.data[:1440] / 16, dtype=torch.float32), torch.tensor(digits.target[:1440])
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        body = nn.Sequential(nn.ReLU(), nn.Linear(20, 16), nn.ReLU(), nn.Linear(16, 10))
        network = nn.Sequential(nn.Linear(64, 20), body)
        optimiser = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
        for _ in range(400):
            chosen = torch.randint(len(y), (64,))
            optimiser.zero_grad()
            F.cross_entropy(network(x[chosen]), y[chosen]).backward()
            optimiser.step()
    return network, State({name: tensor.detach() for name, tensor in network.state_dict().items()}, {}), x, y


@cache
def _product(seed: int, operator: str):
    network, state, x, y = _world(seed)
    names = [name for name in state.params if name.endswith("weight")]
    return OPERATORS[operator](network, state, lambda: [(x, y)], names, None)


@cache
def _eigenvalues(seed: int, operator: str) -> np.ndarray:
    """All eigenvalues of the exact matrix; of the Hessian by torch's own double backward, some rows at a time."""
    product, gradient = _product(seed, operator)
    if operator != "hessian":
        return np.linalg.eigvalsh(torch.cat([product(rows) for rows in torch.eye(len(gradient)).split(40)]).double().numpy())
    network, _, x, y = _world(seed)
    weights = [parameter for name, parameter in network.named_parameters() if name.endswith("weight")]
    first = torch.autograd.grad(F.cross_entropy(network(x), y), weights, create_graph=True)
    flat = torch.cat([each.reshape(-1) for each in first])
    units = torch.eye(len(flat)).split(40)
    rows = [torch.autograd.grad(flat, weights, some, retain_graph=True, is_grads_batched=True) for some in units]
    matrix = torch.cat([torch.cat([each.flatten(1) for each in some], 1) for some in rows]).double().numpy()
    return np.linalg.eigvalsh((matrix + matrix.T) / 2)


def _exact(seed: int, operator: str) -> tuple[np.ndarray, np.ndarray]:
    values = _eigenvalues(seed, operator)
    c = SHARES * values[-1]
    return c, (c / (np.maximum(values, 0)[:, None] + c)).mean(0)


def _probes(num: int, draw: int = 0) -> list[torch.Generator]:
    return [torch_generator("probe", draw, i) for i in range(num)]


@pytest.mark.parametrize("seed", [1, 2])
def test_the_gauss_newton_bracket_closes_and_the_exact_limit_lies_within_its_band(seed):
    """Also where c is below a thousandth of the largest eigenvalue."""
    (product, gradient), (c, exact) = _product(seed, "gauss_newton"), _exact(seed, "gauss_newton")
    found = spectrum(product, gradient, 300, _probes(4), enough=settled(len(gradient), 4, TOLERANCE, 1e-4, True))
    assert len(found.probes[0].diagonal) < 80
    spread = np.array([each.spread for each in f_max(found, c.tolist())])
    lower, upper = np.array(f_max_bounds(found, c.tolist(), lowest_node(found))).T
    assert (upper - lower)[SHARES >= 1e-4].max() <= TOLERANCE
    assert (lower - spread <= exact).all()
    assert (exact <= upper + spread).all()
    assert np.abs(lower - exact)[SHARES >= 1e-4].max() < 0.012
    assert spread.max() < 0.015


@cache
def _longest(seed: int) -> Spectrum:
    """The Hessian's spectrum from all probes, with all iterations: runs of fewer are its beginnings (test_lanczos.py)."""
    return spectrum(*_product(seed, "hessian"), max(ITERATIONS), _probes(max(NUM_PROBES)))


def _begun(found: Spectrum, num_iterations: int, num_probes: int) -> Spectrum:
    return Spectrum(found.dim, [cut_short(probe, num_iterations / len(probe.diagonal)) for probe in found.probes[:num_probes]])


@pytest.mark.parametrize("num_probes", NUM_PROBES)
@pytest.mark.parametrize("seed", [1, 2])
def test_the_exact_hessian_limit_lies_within_its_band_or_the_limit_is_known_to_move(seed, num_probes):
    """With few iterations it is a tenth off where c is small; then it moves, and what moves is no value."""
    c, exact = _exact(seed, "hessian")
    inside, off, known = [], [], []
    for num in ITERATIONS:
        found = _begun(_longest(seed), num, num_probes)
        limits, widths = f_max(found, c.tolist()), unsettled(found, c.tolist(), False)
        errors = [abs(limit.value - value) for limit, value in zip(limits, exact, strict=True)]
        inside += [error <= limit.band for error, limit in zip(errors, limits, strict=True)]
        off += errors
        for error, width, limit in zip(errors, widths, limits, strict=True):
            if width <= TOLERANCE:
                known.append(error <= TOLERANCE + limit.spread)
    assert np.mean(inside) >= 0.95
    assert all(known)
    assert len(known) > 20
    assert max(off) > 0.1
