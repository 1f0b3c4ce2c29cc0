"""Products and spectra against exact matrices and eigenvectors; cannot catch a wrong derivative that all of torch's modes share.

Finite differences of the gradient guard against that where the loss is smooth; nothing here says how many iterations a large
network needs.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import toys
from torch import Tensor, nn
from torch.func import functional_call

from pipeline_lib.analysis.curvature import gauss_newton_product, hessian_product
from pipeline_lib.analysis.lanczos import lanczos, ritz, side_by_side
from pipeline_lib.analysis.spectra import (
    Spectrum,
    f_max,
    f_max_bounds,
    gradient_overlap,
    negative_mass,
    rademacher,
    spectrum,
    top_values,
    trace,
)
from pipeline_lib.core.parameters import prunable
from pipeline_lib.core.rng import torch_generator
from pipeline_lib.core.types import State
from pipeline_lib.networks.resnet import resnet_cifar

# Forward mode, which the library does without, imports a module of torch's that torch itself deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script`:DeprecationWarning")

NUM, SIZE = 23, 6
EXAMPLES = toys.DoubleStream(size=NUM).at(0)


@pytest.fixture(params=list(toys.NETWORKS))
def network(request):
    return toys.NETWORKS[request.param]()


@pytest.fixture(params=[False, True], ids=["all", "masked"])
def mask(request, network):
    return toys.random_mask(network) if request.param else None


def _state(network: nn.Module) -> State:
    return toys.double(toys.scrambled(network))


def _batches() -> list[tuple[Tensor, Tensor]]:
    """Three batches of six and a last one of five."""
    x, y = EXAMPLES
    return [(x[i : i + SIZE], y[i : i + SIZE]) for i in range(0, NUM, SIZE)]


def _logits(network: nn.Module, state: State, names: list[str], weights: Tensor, x: Tensor) -> Tensor:
    """The network as a function of one vector of all named weights."""
    pieces = weights.split([state.params[n].numel() for n in names])
    named = {n: piece.view(state.params[n].shape) for n, piece in zip(names, pieces, strict=True)}
    return functional_call(network.eval(), {**state.params, **state.buffers, **named}, (x,))


def _flat(state: State, names: list[str]) -> Tensor:
    return torch.cat([state.params[n].reshape(-1) for n in names])


def _kept(mask, names: list[str], like: Tensor) -> Tensor:
    if mask is None:
        return torch.ones_like(like, dtype=torch.bool)
    return torch.cat([torch.from_numpy(mask[n]).reshape(-1) for n in names])


def _exact_hessian(network: nn.Module, state: State, names: list[str], mask) -> Tensor:
    x, y = EXAMPLES
    weights = _flat(state, names)
    hessian = torch.func.hessian(lambda w: F.cross_entropy(_logits(network, state, names, w, x), y))(weights)
    kept = _kept(mask, names, weights)
    return hessian[kept][:, kept]


def _exact_gauss_newton(network: nn.Module, state: State, names: list[str], mask) -> Tensor:
    """One example at a time: its Jacobian, and the second derivative of its loss in the logits by torch.func."""
    weights, total = _flat(state, names), 0
    for image, label in zip(*EXAMPLES, strict=True):
        of_weights = partial(_logits, network, state, names, x=image[None])
        jacobian = torch.func.jacrev(lambda w, f=of_weights: f(w)[0])(weights)
        outer = torch.func.hessian(partial(F.cross_entropy, target=label))(of_weights(weights)[0])
        total = total + jacobian.T @ outer @ jacobian / NUM
    kept = _kept(mask, names, weights)
    return total[kept][:, kept]


EXACT = {"hessian": (hessian_product, _exact_hessian), "gauss-newton": (gauss_newton_product, _exact_gauss_newton)}


@pytest.mark.parametrize("operator", EXACT)
def test_products_with_the_identity_are_the_exact_matrix(operator, network, mask):
    ours, exact = EXACT[operator]
    state, names = _state(network), prunable(network)
    matvec, gradient = ours(network, state, _batches, names, mask)
    expected = exact(network, state, names, mask)
    torch.testing.assert_close(
        matvec(torch.eye(len(gradient), dtype=torch.float64)), expected, rtol=1e-9, atol=1e-12 * float(expected.abs().max())
    )


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_products_are_differences_of_gradients(network, mode):
    """Both BatchNorm modes; the gradient at w + h v minus that at w - h v, with no kink of a ReLU in between."""
    state, names, h = _state(network), prunable(network), 1e-6
    matvec, gradient = hessian_product(network, state, _batches, names, None, mode)
    vector = torch.randn(len(gradient), generator=torch_generator("direction"), dtype=torch.float64)
    sides = []
    for sign in (1, -1):
        moved = (_flat(state, names) + sign * h * vector).split([state.params[n].numel() for n in names])
        params = state.params | {n: piece.view(state.params[n].shape) for n, piece in zip(names, moved, strict=True)}
        sides.append(hessian_product(network, State(params, state.buffers), _batches, names, None, mode)[1])
    torch.testing.assert_close(matvec(vector), (sides[0] - sides[1]) / (2 * h), rtol=1e-5, atol=1e-8)


def test_a_residual_network_in_place_operations_and_all():
    """Some entries of the Hessian of a ResNet, whose blocks overwrite their activations, by differences of gradients."""
    network = resnet_cifar((1, 8, 8), toys.CLASSES, blocks=1, width=1)
    state, names, h = _state(network), prunable(network), 1e-6
    x = torch.randn((NUM, 1, 8, 8), generator=torch_generator("residual"), dtype=torch.float64)

    def batches() -> list[tuple[Tensor, Tensor]]:
        return [(x[:9], EXAMPLES[1][:9]), (x[9:], EXAMPLES[1][9:])]

    matvec, gradient = hessian_product(network, state, batches, names, None)
    for i in range(0, len(gradient), 23):
        unit = torch.zeros_like(gradient)
        unit[i] = 1
        ends = []
        for sign in (1, -1):
            moved = (_flat(state, names) + sign * h * unit).split([state.params[n].numel() for n in names])
            params = state.params | {n: piece.view(state.params[n].shape) for n, piece in zip(names, moved, strict=True)}
            ends.append(hessian_product(network, State(params, state.buffers), batches, names, None)[1])
        torch.testing.assert_close(matvec(unit), (ends[0] - ends[1]) / (2 * h), rtol=1e-5, atol=1e-8)


def _eigen(network: nn.Module, mask, operator: str = "hessian"):
    ours, exact = EXACT[operator]
    state, names = _state(network), prunable(network)
    matvec, gradient = ours(network, state, _batches, names, mask)
    return matvec, gradient, torch.linalg.eigh(exact(network, state, names, mask))


def _f_max(values: np.ndarray, c: float, negative: str) -> float:
    if negative == "dropped":
        values = values[values > 0]
    return float(np.mean(c / ((np.abs(values) if negative == "absolute" else np.maximum(values, 0)) + c)))


def _negative_mass(values: np.ndarray) -> float:
    return float(-values[values < 0].sum() / np.abs(values).sum())


def test_probes_along_all_axes_leave_nothing_to_chance(network):
    """The mean over the axes is the trace itself. Dead units make eigenvalues of zero, so the spectrum is shifted off it."""
    matrix = _exact_hessian(network, _state(network), prunable(network), toys.random_mask(network))
    matrix = matrix - 1e-3 * torch.eye(len(matrix), dtype=torch.float64)
    found = Spectrum(len(matrix), [lanczos(lambda v: matrix @ v, axis, len(axis)) for axis in torch.eye(len(matrix)).double()])
    values = torch.linalg.eigvalsh(matrix).numpy()
    assert np.abs(values).min() > 1e-6
    assert trace(found).value == pytest.approx(values.sum(), rel=1e-9)
    assert negative_mass(found).value == pytest.approx(_negative_mass(values), rel=1e-9)
    for c in (1e-3, 1e-1, 10.0):
        for negative in ("clamped", "absolute", "dropped"):
            assert f_max(found, [c], negative)[0].value == pytest.approx(_f_max(values, c, negative), rel=1e-9)


def test_random_probes_agree_within_their_errors(network, mask):
    matrix = _exact_hessian(network, _state(network), prunable(network), mask)
    found = spectrum(lambda block: block @ matrix, matrix[0], len(matrix), [torch_generator("exact", i) for i in range(60)])
    values = torch.linalg.eigvalsh(matrix).numpy()
    estimates = [(trace(found), values.sum()), (negative_mass(found), _negative_mass(values))]
    estimates += [(f_max(found, [c])[0], _f_max(values, c, "clamped")) for c in (1e-3, 1e-2, 1e-1)]
    for estimate, exact in estimates:
        assert abs(estimate.value - exact) < 4 * estimate.standard_error
    # The variance of a Rademacher probe in closed form: twice the squares off the diagonal.
    variance = 2 * float(matrix.square().sum() - matrix.diagonal().square().sum())
    assert estimates[0][0].standard_error == pytest.approx((variance / 60) ** 0.5, rel=0.3)


def test_the_bracket_of_gauss_newton_holds_the_exact_quadratic_form(network):
    matrix = _exact_gauss_newton(network, _state(network), prunable(network), None)
    eigenvalues, vectors = torch.linalg.eigh(matrix)
    signs = rademacher(matrix[0], [torch_generator("bracket", i) for i in range(5)])
    shares = (signs @ vectors).square() / len(matrix)
    for num_iterations in (2, 4, 8):
        found = Spectrum(len(matrix), side_by_side(lambda block: block @ matrix, signs, num_iterations))
        for c, (lower, upper) in zip((1e-3, 1e-1), f_max_bounds(found, [1e-3, 1e-1], node=-1e-9), strict=True):
            exact = float((shares @ (c / (eigenvalues.clamp(min=0) + c))).mean())
            assert lower - 1e-8 <= exact <= upper + 1e-5


@pytest.mark.parametrize("operator", EXACT)
def test_extreme_eigenvalues(operator, network, mask):
    matvec, gradient, (eigenvalues, _) = _eigen(network, mask, operator)
    (pairs,) = spectrum(matvec, gradient, len(gradient), [torch_generator("extreme", 0)]).full
    assert top_values(pairs, 5) == pytest.approx(eigenvalues.flip(0)[:5].tolist(), rel=1e-8)
    if operator == "hessian":
        assert top_values(pairs, 3, lowest=True) == pytest.approx(eigenvalues[:3].tolist(), rel=1e-8)


@pytest.mark.parametrize("operator", EXACT)
def test_the_gradients_share_in_the_top_subspace(operator, network, mask):
    matvec, gradient, (_, vectors) = _eigen(network, mask, operator)
    shares = (vectors.T @ gradient).square() / gradient.square().sum()
    pairs = ritz(lanczos(matvec, gradient, len(gradient)))
    for k in (1, 2, 5):
        assert gradient_overlap(pairs, k) == pytest.approx(float(shares[-k:].sum()), rel=1e-8)


def test_a_short_run_gives_the_share_or_says_that_it_cannot():
    """Ten iterations on 76 dimensions: the outliers are there, the bulk is not."""
    network = toys.dense_net()
    matvec, gradient, (_, vectors) = _eigen(network, None)
    shares = (vectors.T @ gradient).square() / gradient.square().sum()
    pairs = ritz(lanczos(matvec, gradient, 10))
    assert gradient_overlap(pairs, 1, tolerance=1e-2) == pytest.approx(float(shares[-1]), rel=1e-2)
    assert gradient_overlap(pairs, 8, tolerance=1e-2) is None


def test_float32_is_as_good_for_what_is_read_off(network):
    """The same estimates from float32 weights, data, products and basis."""
    state, names = toys.scrambled(network), prunable(network)
    rough, gradient = hessian_product(network, state, lambda: [(x.float(), y) for x, y in _batches()], names, None)
    exact, _ = hessian_product(network, toys.double(state), _batches, names, None)
    found, expected = (
        spectrum(matvec, like, 20, [torch_generator("rough", i) for i in range(3)])
        for matvec, like in ((rough, gradient), (exact, gradient.double()))
    )
    assert top_values(found.full[0], 2) == pytest.approx(top_values(expected.full[0], 2), rel=1e-5)
    assert negative_mass(found).value == pytest.approx(negative_mass(expected).value, abs=1e-4)
    assert f_max(found, [1e-2])[0].value == pytest.approx(f_max(expected, [1e-2])[0].value, abs=1e-3)
