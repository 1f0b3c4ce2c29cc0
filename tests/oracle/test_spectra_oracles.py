"""Spectra of a trained network and of planted ones against exact eigenvalues, closed forms and ARPACK.

Tolerances are three to ten times what was found. It cannot be seen here how many iterations a network of a thousand times the
size needs, nor whether products are right (test_exact_hessians.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.sparse.linalg import LinearOperator, eigsh
from scipy.stats import wasserstein_distance
from torch import Tensor
from torch.func import functional_call
from toys import random_mask

from pipeline_lib.analysis.curvature import gauss_newton_product, hessian_product
from pipeline_lib.analysis.lanczos import Matvec
from pipeline_lib.analysis.spectra import Spectrum, f_max, negative_mass, rademacher, spectrum, top_values, trace
from pipeline_lib.core import registry
from pipeline_lib.core.parameters import prunable
from pipeline_lib.core.rng import numpy_generator, torch_generator
from pipeline_lib.core.types import State
from pipeline_lib.networks.mlp import mlp
from pipeline_lib.training.initialisers.kaiming import kaiming_normal

NUM = 300
PRODUCTS = {"hessian": hessian_product, "gauss_newton": gauss_newton_product}


@dataclass(frozen=True)
class Trained:
    """A sparse MLP of 2,410 parameters, trained on digits: products in float32, the matrix in float64."""

    products: dict[str, Matvec]
    like: Tensor
    values: Tensor
    vectors: Tensor


def _loss(network, state: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(functional_call(network, state, (x,)), y)


@pytest.fixture(scope="module")
def trained() -> Trained:
    dataset = registry.call("datasets", {"name": "digits"}, data_root=None)
    x, y = dataset.train.x[:NUM].double() / 255 - 0.5, dataset.train.y[:NUM]
    network = mlp((1, 8, 8), 10, widths=(32,))
    mask = random_mask(network)
    keep = {name: torch.from_numpy(kept) for name, kept in mask.items()}
    params = {n: t.double() for n, t in kaiming_normal(network, torch_generator("oracle", 0)).params.items()}
    for _ in range(400):
        params = {n: (t * keep[n] if n in keep else t).detach().requires_grad_() for n, t in params.items()}
        gradients = torch.autograd.grad(_loss(network, params, x, y), list(params.values()))
        params = {n: t - 0.2 * g for (n, t), g in zip(params.items(), gradients, strict=True)}
    params = {n: (t * keep[n] if n in keep else t).detach().float() for n, t in params.items()}
    names = prunable(network)
    made = {name: make(network, State(params, {}), lambda: [(x.float(), y)], names, mask) for name, make in PRODUCTS.items()}
    index = torch.cat([keep[n].reshape(-1) for n in names]).nonzero()[:, 0]
    fixed = {n: t.double() for n, t in params.items()}
    flat = torch.cat([fixed[n].reshape(-1) for n in names])

    def of_survivors(weights: Tensor) -> Tensor:
        pieces = flat.scatter(0, index, weights).split([fixed[n].numel() for n in names])
        return _loss(network, fixed | {n: p.view(fixed[n].shape) for n, p in zip(names, pieces, strict=True)}, x, y)

    matrix = torch.func.jacrev(torch.func.grad(of_survivors), chunk_size=64)(flat[index])
    products = {name: product for name, (product, _) in made.items()}
    return Trained(products, made["hessian"][1], *torch.linalg.eigh(matrix))


def _spectrum(product: Matvec, like: Tensor, num_iterations: int, num: int = 4) -> Spectrum:
    return spectrum(product, like, num_iterations, [torch_generator("oracle", i) for i in range(num)])


def _points(found: Spectrum) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of all probes."""
    return np.concatenate([each.values for each in found.full]), np.concatenate([each.weights for each in found.full])


@pytest.fixture(scope="module")
def found(trained) -> Spectrum:
    """The Hessian's, from 128 iterations on 1,180 dimensions."""
    return _spectrum(trained.products["hessian"], trained.like, 128)


@pytest.mark.parametrize(("num_iterations", "tolerance"), [(64, 3e-4), (128, 1e-4)])
def test_a_quadrature_is_near_its_probes_own_spectral_measure(trained, num_iterations, tolerance):
    """In units of the spectrum's range; found 8e-5 and 2e-5. This is the error of the iterations alone."""
    values, short = trained.values, _spectrum(trained.products["hessian"], trained.like, num_iterations)
    signs = rademacher(trained.vectors[0], [torch_generator("oracle", i) for i in range(4)])
    for pairs, shares in zip(short.full, (signs @ trained.vectors).square() / len(values), strict=True):
        distance = wasserstein_distance(pairs.values, values, pairs.weights, shares)
        assert distance < tolerance * float(values[-1] - values[0])


def test_four_probes_are_near_the_exact_spectrum(trained, found):
    """In units of the range: found 8e-4; all mass at the mean would be at 8e-3. Chance is now in it, and is most of it."""
    values = trained.values.numpy()
    nodes, weights = _points(found)
    distance = wasserstein_distance(nodes, values, weights)
    assert distance < 0.003 * (values[-1] - values[0])
    assert distance < np.abs(values - values.mean()).mean() / 3


@pytest.mark.parametrize("distance", [0.5, 2.0, 8.0])
@pytest.mark.parametrize("epsilon", [0.01, 0.1, 1.0])
def test_f_max_of_a_trained_network(trained, found, epsilon, distance):
    """Within 3 % (found 0.8 %), and within its own error bars. Zeros of dead inputs are of either sign, so none is dropped."""
    values, c = trained.values.numpy(), 2 * epsilon / distance**2
    for negative, sizes in (("clamped", np.maximum(values, 0)), ("absolute", np.abs(values))):
        (estimate,) = f_max(found, [c], negative)
        exact = float((c / (sizes + c)).mean())
        assert estimate.value == pytest.approx(exact, rel=0.03)
        assert abs(estimate.value - exact) < 4 * estimate.standard_error + abs(estimate.change)


def test_negative_mass_and_trace_of_a_trained_network(trained, found):
    values = trained.values.numpy()
    expected = -values[values < 0].sum() / np.abs(values).sum()
    for estimate, exact in ((negative_mass(found), expected), (trace(found), values.sum())):
        assert abs(estimate.value - exact) < 4 * estimate.standard_error + abs(estimate.change)


@pytest.mark.parametrize("operator", PRODUCTS)
def test_extreme_eigenvalues_are_those_of_arpack(trained, operator):
    """On the same products; found 1e-7 apart, which is what float32 has."""
    product, dim = trained.products[operator], len(trained.values)

    def matvec(vector: np.ndarray) -> np.ndarray:
        return product(torch.from_numpy(vector.reshape(-1)).float()).double().numpy()

    linear = LinearOperator((dim, dim), matvec=matvec, dtype=np.float64)
    (pairs,) = _spectrum(product, trained.like, 128, num=1).full
    largest = eigsh(linear, k=10, which="LA", return_eigenvectors=False)
    assert top_values(pairs, 10) == pytest.approx(np.sort(largest)[::-1].tolist(), rel=1e-6)
    if operator == "hessian":
        lowest = eigsh(linear, k=5, which="SA", return_eigenvectors=False)
        assert top_values(pairs, 5, lowest=True) == pytest.approx(np.sort(lowest).tolist(), rel=1e-5)
        assert float(trained.values[-1]) == pytest.approx(largest.max(), rel=1e-6)


DIM = 600
RATIO = 0.5  # of variables to samples


def _normal(*shape: int) -> Tensor:
    return torch.from_numpy(numpy_generator("planted", *shape).standard_normal(shape))


def _uniform() -> tuple[Tensor, np.ndarray, np.ndarray]:
    """Eigenvalues evenly from 0 to 3 in a random basis."""
    values = 3 * (torch.arange(DIM, dtype=torch.float64) + 0.5) / DIM
    basis = torch.linalg.qr(_normal(DIM, DIM)).Q
    return basis @ torch.diag(values) @ basis.T, values.numpy(), np.ones(DIM)


def _marchenko_pastur() -> tuple[Tensor, np.ndarray, np.ndarray]:
    """The covariance of white noise."""
    samples = _normal(DIM, int(DIM / RATIO))
    low, high = (1 - RATIO**0.5) ** 2, (1 + RATIO**0.5) ** 2
    grid = np.linspace(low, high, 4001)[1:-1]
    return samples @ samples.T * RATIO / DIM, grid, np.sqrt((high - grid) * (grid - low)) / grid


def _semicircle() -> tuple[Tensor, np.ndarray, np.ndarray]:
    """A symmetric matrix of noise; half of its eigenvalues' sizes is negative."""
    noise = _normal(DIM, DIM)
    grid = np.linspace(-2, 2, 4001)
    return (noise + noise.T) / (2 * DIM) ** 0.5, grid, np.sqrt(4 - grid**2)


@cache
def _planted(make) -> tuple[Spectrum, np.ndarray, np.ndarray]:
    matrix, grid, density = make()
    return _spectrum(lambda block: block @ matrix, matrix[0], 40, num=40), grid, density


@pytest.mark.parametrize("make", [_uniform, _marchenko_pastur, _semicircle])
def test_planted_densities_are_found(make):
    """In units of the range: found 7e-3 at most; all mass in the middle would be at 0.25."""
    found, grid, density = _planted(make)
    nodes, weights = _points(found)
    assert wasserstein_distance(nodes, grid, weights, density) < 0.02 * (grid[-1] - grid[0])


@pytest.mark.parametrize("c", [0.05, 0.5, 5.0])
def test_f_max_of_planted_densities_in_closed_form(c):
    """Integrals over the densities; within 1.5 % (found 0.4 %), and within the error bars."""
    root = np.sqrt((1 + RATIO + c) ** 2 - 4 * RATIO)
    # c times the Stieltjes transform of the Marchenko-Pastur law at -c.
    noise = (root - (1 - RATIO + c)) / (2 * RATIO)
    for make, exact in ((_uniform, c / 3 * np.log((3 + c) / c)), (_marchenko_pastur, noise)):
        (estimate,) = f_max(_planted(make)[0], [c])
        assert estimate.value == pytest.approx(exact, rel=0.015)
        assert abs(estimate.value - exact) < 4 * estimate.standard_error + abs(estimate.change)


def test_half_of_a_semicircle_is_negative():
    """Found 0.512."""
    assert negative_mass(_planted(_semicircle)[0]).value == pytest.approx(0.5, abs=0.04)
