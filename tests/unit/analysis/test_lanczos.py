from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline_lib.analysis.lanczos import Krylov, Tridiagonal, cut_short, lanczos, ritz, side_by_side, with_node
from pipeline_lib.core.rng import torch_generator

sizes = st.integers(2, 12)
seeds = st.integers(0, 10_000)


def _normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(shape, generator=torch_generator("lanczos test", seed), dtype=torch.float64).to(dtype)


def _rotation(n: int, seed: int = 0) -> torch.Tensor:
    return torch.linalg.qr(_normal(n, n, seed=seed)).Q


def _diagonal(values: torch.Tensor):
    return lambda vector: values * vector


@given(sizes, st.integers(1, 12), seeds)
def test_the_quadrature_is_exact_for_polynomials_up_to_degree_2m_less_1(n, m, seed):
    values, start = torch.linspace(-1, 2, n, dtype=torch.float64), _normal(n, seed=seed)
    found = ritz(lanczos(_diagonal(values), start, m))
    share = start.square() / start.square().sum()
    for degree in range(2 * m):
        exact = float((share * values**degree).sum())
        assert found.weights @ found.values**degree == pytest.approx(exact, rel=1e-9, abs=1e-9)


@given(sizes, seeds)
def test_the_recurrence_holds(n, seed):
    """Column by column, from products that were recorded: A Q = Q T + residual q_next e_m^T, and Q^T Q = 1."""
    a, m = _normal(n, n, seed=seed), max(1, n // 2)
    a, seen = a + a.T, []

    def matvec(vector: torch.Tensor) -> torch.Tensor:
        seen.append(vector.clone())
        return a @ vector

    found = lanczos(matvec, _normal(n, seed=seed + 1), m)
    basis = torch.stack(seen, dim=1).numpy()
    t = np.diag(found.diagonal) + np.diag(found.off_diagonal, 1) + np.diag(found.off_diagonal, -1)
    np.testing.assert_allclose(basis.T @ basis, np.eye(m), atol=1e-12)
    rest = a.numpy() @ basis - basis @ t
    np.testing.assert_allclose(rest[:, :-1], 0, atol=1e-11)
    assert np.linalg.norm(rest[:, -1]) == pytest.approx(found.residual, rel=1e-9)


@given(sizes, seeds)
def test_all_iterations_give_all_eigenvalues_and_the_starts_shares(n, seed):
    a = _normal(n, n, seed=seed)
    a, start = a + a.T, _normal(n, seed=seed + 1)
    found, exact = ritz(lanczos(lambda v: a @ v, start, 100)), torch.linalg.eigh(a)
    np.testing.assert_allclose(found.values, exact.eigenvalues, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.weights, (exact.eigenvectors.T @ (start / start.norm())).square(), atol=1e-8)


def test_the_scale_of_the_start_does_not_matter():
    values, start = torch.linspace(1, 3, 9, dtype=torch.float64), _normal(9)
    large, small = (ritz(lanczos(_diagonal(values), factor * start, 4)) for factor in (1e150, 1e-150))
    np.testing.assert_allclose(large.values, small.values, rtol=1e-12)
    np.testing.assert_allclose(large.weights, small.weights, rtol=1e-10)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_an_invariant_subspace_stops_early(scale):
    """Thirty dimensions, three distinct eigenvalues: three iterations see all, whatever the operator's units."""
    q = _rotation(30)
    a = scale * q @ torch.diag(torch.tensor([1.0, 5.0, -2.0], dtype=torch.float64).repeat(10)) @ q.T
    found = lanczos(lambda v: a @ v, _normal(30), 20)
    assert len(found.diagonal) == 3
    np.testing.assert_allclose(ritz(found).values / scale, [-2, 1, 5], rtol=1e-12)
    assert found.residual < 1e-13 * scale


def test_an_eigenvector_and_the_zero_operator_stop_after_one_product():
    values = torch.tensor([1.0, 2.0, 4.0])
    for operator, start, value in (
        (_diagonal(values), torch.tensor([0.0, 3.0, 0.0]), 2),
        (torch.zeros_like, torch.ones(3), 0),
    ):
        found = lanczos(operator, start, 3)
        assert (found.diagonal.tolist(), found.off_diagonal.tolist(), found.residual) == ([value], [], 0)


def test_it_stops_at_the_dimension():
    assert len(lanczos(_diagonal(torch.arange(1.0, 6.0)), torch.ones(5), 50).diagonal) == 5


def test_breakdown_is_relative_and_can_be_set():
    """Two eigenvalues a millionth apart are one to a coarse test."""
    values = torch.tensor([1.0, 1 + 1e-6], dtype=torch.float64)
    for scale in (1e-12, 1.0, 1e12):
        operator = _diagonal(scale * values)
        lengths = [len(lanczos(operator, torch.ones(2).double(), 2, limit).diagonal) for limit in (1e-5, 1e-8, None)]
        assert lengths == [1, 2, 2]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_top_eigenvalue_appears_once_in_long_runs(dtype):
    """Without reorthogonalisation the outlier comes back once every dozen iterations."""
    values = torch.cat([torch.linspace(0, 1, 299), torch.tensor([1000.0])]).to(dtype)
    found = ritz(lanczos(_diagonal(values), _normal(300, dtype=dtype), 100))
    assert (found.values > 2).sum() == 1
    assert found.values[-1] == pytest.approx(1000, rel=1e-6)
    assert found.values.dtype == np.float64


DISTINCT = torch.tensor([0.0, 0.0, 0.1, 0.5, 50.0], dtype=torch.float64).repeat(40)


def test_no_ghosts_where_iterations_outnumber_the_distinct_eigenvalues():
    found = ritz(lanczos(_diagonal(DISTINCT), _normal(200), 100, breakdown=1e-10))
    np.testing.assert_allclose(found.values, [0, 0.1, 0.5, 50], atol=1e-9)


def test_going_on_past_an_invariant_space_does_the_quadrature_no_harm():
    """Rounding opens new directions; copies of an eigenvalue then divide its weight, and none comes up that is not one."""
    start, values = _normal(200), np.array([0, 0.1, 0.5, 50])
    found = ritz(lanczos(_diagonal(DISTINCT.float()), start.float(), 100))
    assert len(found.values) > 4
    gaps = np.abs(found.values[:, None] - values)
    assert gaps.min(axis=1).max() < 1e-4
    shares = [found.weights[gaps.argmin(axis=1) == i].sum() for i in range(4)]
    exact = [start[value == DISTINCT].square().sum() / start.square().sum() for value in values]
    np.testing.assert_allclose(shares, exact, rtol=1e-5)


def test_float32_products_suffice():
    values = torch.logspace(-6, 2, 400, dtype=torch.float64)
    start = _normal(400)
    exact, rough = (ritz(lanczos(_diagonal(values.to(t)), start.to(t), 60)) for t in (torch.float64, torch.float32))
    for c in (1e-3, 1e-1, 10.0):
        assert rough.weights @ (c / (rough.values + c)) == pytest.approx(exact.weights @ (c / (exact.values + c)), abs=1e-4)


@given(sizes, st.integers(1, 12), seeds)
def test_a_residual_bounds_the_distance_to_an_eigenvalue(n, m, seed):
    values = torch.linspace(-1, 1, n, dtype=torch.float64) ** 3
    found = ritz(lanczos(_diagonal(values), _normal(n, seed=seed), m))
    gaps = np.abs(found.values[:, None] - values.numpy()).min(axis=1)
    assert (gaps <= found.residuals + 1e-12).all()


@given(sizes, st.integers(1, 12), seeds)
def test_weights_are_shares_and_values_ascend(n, m, seed):
    found = ritz(lanczos(_diagonal(torch.linspace(-1, 3, n, dtype=torch.float64)), _normal(n, seed=seed), m))
    assert found.weights.sum() == pytest.approx(1, abs=1e-12)
    assert (found.weights >= 0).all()
    assert (np.diff(found.values) > 0).all()


@given(st.integers(1, 20), seeds, st.sampled_from([0.5, 0.75, 1.0]))
def test_cut_short_is_what_fewer_iterations_find(m, seed, share):
    values, start = torch.linspace(-1, 3, 25, dtype=torch.float64), _normal(25, seed=seed)
    whole, own = lanczos(_diagonal(values), start, m), lanczos(_diagonal(values), start, max(1, int(share * m)))
    half = cut_short(whole, share)
    np.testing.assert_array_equal(half.diagonal, own.diagonal)
    np.testing.assert_array_equal(half.off_diagonal, own.off_diagonal)
    assert half.residual == own.residual


def _equal(first: list[Tridiagonal], second: list[Tridiagonal]) -> None:
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.diagonal, other.diagonal)
        np.testing.assert_array_equal(one.off_diagonal, other.off_diagonal)
        assert one.residual == other.residual


def _watched(num_iterations: int = 5) -> tuple[torch.Tensor, list[int], list[tuple[Krylov, ...]], list[Tridiagonal]]:
    """Three starts, of which the second spans an invariant subspace, the sizes of their blocks, and what a monitor was told."""
    starts, blocks, told = _normal(3, 12, dtype=torch.float32), list[int](), list[tuple[Krylov, ...]]()
    starts[1, 2:] = 0
    return starts, blocks, told, side_by_side(_counted(blocks), starts, num_iterations, monitor=told.append)


def _counted(blocks: list[int]):
    values = torch.linspace(-1, 3, 12)

    def matvecs(block: torch.Tensor) -> torch.Tensor:
        blocks.append(len(block))
        return values * block

    return matvecs


def test_starts_in_step_are_the_starts_alone_bit_for_bit():
    starts, blocks, _, found = _watched()
    assert blocks == [3, 3, 2, 2, 2]
    _equal(found, [lanczos(_diagonal(torch.linspace(-1, 3, 12)), start, 5) for start in starts])


@pytest.mark.parametrize("after", range(1, 6))
def test_a_run_goes_on_from_any_block_bit_for_bit(after):
    starts, blocks, told, whole = _watched()
    again = list[int]()
    _equal(side_by_side(_counted(again), starts, 5, resume=told[after - 1]), whole)
    assert again == blocks[after:]


def test_a_monitor_is_told_how_far_each_run_is():
    starts, _, told, whole = _watched()
    assert [[len(run.found.diagonal) for run in runs] for runs in told] == [[1, 1, 1], [2, 2, 2], [3, 2, 3], [4, 2, 4], [5, 2, 5]]
    assert [[len(run.basis) for run in runs] for runs in told] == [[2, 2, 2], [3, 0, 3], [4, 0, 4], [5, 0, 5], [0, 0, 0]]
    _equal([run.found for run in told[-1]], whole)
    for earlier, later in itertools.pairwise(runs[0] for runs in told[:-1]):
        assert torch.equal(earlier.basis, later.basis[:-1])
        np.testing.assert_array_equal(earlier.found.diagonal, later.found.diagonal[:-1])
    torch.testing.assert_close(told[0][0].basis[0], starts[0] / starts[0].norm())


def test_the_state_after_a_block_stands_for_a_shorter_run():
    starts, _, told, _ = _watched()
    _equal([run.found for run in told[2]], side_by_side(_counted([]), starts, 3))


def test_a_run_that_goes_on_leaves_what_it_was_given_as_it_is():
    starts, _, told, _ = _watched()
    kept = [Krylov(run.basis.clone(), run.found) for run in told[1]]
    before = [run.basis.clone() for run in kept]
    side_by_side(_counted([]), starts, 5, resume=kept)
    assert all(torch.equal(run.basis, basis) for run, basis in zip(kept, before, strict=True))


def test_other_runs_are_refused():
    starts, _, told, _ = _watched()
    for resume, found in ((told[0][:2], r"\[\(2, 12\), \(2, 12\)\]"), ([Krylov(torch.ones(2, 7), told[0][0].found)] * 3, "7")):
        with pytest.raises(ValueError, match=rf"resume must have a run of each of the starts \(3, 12\), got bases .*{found}"):
            side_by_side(_counted([]), starts, 5, resume=resume)


@given(sizes, st.integers(1, 11), seeds, st.sampled_from([1e-3, 0.1, 2.0]))
def test_gauss_and_gauss_radau_bracket(n, m, seed, c):
    values, start = torch.linspace(0.01, 1, n, dtype=torch.float64), _normal(n, seed=seed)
    found = lanczos(_diagonal(values), start, m)
    share = start.square() / start.square().sum()
    exact = float((share * c / (values + c)).sum())
    lower, upper = (float(pairs.weights @ (c / (pairs.values + c))) for pairs in (ritz(found), with_node(found, 0.0)))
    assert lower <= exact + 1e-9
    assert upper >= exact - 1e-9


def test_the_added_node_is_where_it_was_asked_for():
    found = lanczos(_diagonal(torch.linspace(1, 2, 9, dtype=torch.float64)), _normal(9), 4)
    longer = with_node(found, 0.25)
    assert len(longer.values) == 5
    assert longer.values[0] == pytest.approx(0.25, rel=1e-12)
    assert np.isnan(longer.residuals).all()


def test_an_invariant_space_needs_no_added_node():
    found = lanczos(_diagonal(torch.ones(4)), torch.ones(4), 3)
    assert with_node(found, 0.0).values.tolist() == [1.0]


def test_a_node_inside_the_spectrum_is_refused():
    found = Tridiagonal(np.array([1.0, 1.0]), np.array([0.5]), 0.1)
    with pytest.raises(
        ValueError, match=r"node must be below the lowest Ritz value 0\.5, got 0\.75; the bound needs a lower one"
    ):
        with_node(found, 0.75)


@pytest.mark.parametrize("start", [torch.zeros(3), torch.tensor([1.0, torch.nan, 0.0]), torch.tensor([1.0, torch.inf, 0.0])])
def test_a_start_without_direction_is_refused(start):
    with pytest.raises(ValueError, match=r"start must be finite and not zero, got a norm of .*; give a direction"):
        lanczos(_diagonal(torch.ones(3)), start, 2)


@pytest.mark.parametrize("num", [0, -1])
def test_too_few_iterations_are_refused(num):
    with pytest.raises(ValueError, match=f"num_iterations must be at least 1, got {num}; the first product is the least"):
        lanczos(_diagonal(torch.ones(3)), torch.ones(3), num)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_products_that_are_not_finite_are_refused(bad):
    with pytest.raises(ValueError, match=r"products must be finite, got .*; the weights have diverged"):
        lanczos(_diagonal(torch.tensor([1.0, bad, 2.0])), torch.ones(3), 3)


def test_products_of_some_starts_alone_are_refused():
    with pytest.raises(ValueError, match="zip"):
        side_by_side(lambda block: block[:1], _normal(2, 5), 3)


def test_the_start_is_not_changed():
    start = _normal(5)
    before = start.clone()
    lanczos(_diagonal(torch.linspace(1, 2, 5, dtype=torch.float64)), start, 3)
    assert torch.equal(start, before)
