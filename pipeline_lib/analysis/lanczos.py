"""Lanczos: a symmetric operator that is known by its products alone, seen from a start as a small tridiagonal matrix."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

Matvec = Callable[[Tensor], Tensor]
Monitor = Callable[[Sequence["Krylov"]], None]
Enough = Callable[[Sequence["Tridiagonal"]], bool]


@dataclass(frozen=True)
class Tridiagonal:
    """A symmetric operator A in the Krylov space of a start: `A Q = Q T + residual * q_next e_m^T`, Q orthonormal (n, m).

    Args:
        diagonal: (m,) of T.
        off_diagonal: (m - 1,) of T, positive.
        residual: what couples the space to the rest, >= 0; of the order of rounding where the space is invariant.
    """

    diagonal: Float64[np.ndarray, " m"]
    off_diagonal: Float64[np.ndarray, " m_less_one"]
    residual: float


@dataclass(frozen=True)
class Krylov:
    """How far a run is after m products: all that it needs to go on.

    Args:
        basis: (m + 1, n), orthonormal rows; the last is the one whose product comes next. None, (0, n), where the run is done.
        found: T so far.
    """

    basis: Float[Tensor, "num n"]
    found: Tridiagonal


@dataclass(frozen=True)
class Ritz:
    """Eigenvalues of T and what they are worth: nodes and weights of the Gauss quadrature of the start's spectral measure.

    Args:
        values: (m,), ascending.
        weights: (m,), squared first components of T's eigenvectors: the start's share along each; they sum to 1.
        residuals: (m,), `|A u - value * u|` of each Ritz vector u: an eigenvalue of A lies within this of the value.
    """

    values: Float64[np.ndarray, " m"]
    weights: Float64[np.ndarray, " m"]
    residuals: Float64[np.ndarray, " m"]


def _norm(vector: Tensor) -> float:
    return float(vector.double().square().sum().sqrt())


def _tridiagonal(diagonal: list[float], residuals: list[float]) -> Tridiagonal:
    return Tridiagonal(np.array(diagonal), np.array(residuals[:-1]), residuals[-1] if residuals else math.nan)


def _steps(start: Tensor, num_iterations: int, breakdown: float, so_far: Krylov | None) -> Generator[Krylov, Tensor, Krylov]:
    """Yield how far the run is, take the product of the newest vector, and so on until it is done."""
    if so_far and not len(so_far.basis):
        return so_far
    norm = _norm(start)
    if not 0 < norm < math.inf:
        raise ValueError(f"start must be finite and not zero, got a norm of {norm}; give a direction")
    basis = start.new_empty(min(num_iterations, len(start)), len(start))
    basis[0] = start / norm
    diagonal, residuals = list[float](), list[float]()  # each residual couples a vector to the next
    if so_far:
        basis[: len(so_far.basis)] = so_far.basis
        diagonal, residuals = so_far.found.diagonal.tolist(), [*so_far.found.off_diagonal.tolist(), so_far.found.residual]
    for i in range(len(diagonal), len(basis)):
        product = yield Krylov(basis[: i + 1], _tridiagonal(diagonal, residuals))
        diagonal.append(float(basis[i].double() @ product.double()))
        done = basis[: i + 1]
        for _ in range(2):  # twice is enough: the second pass removes the rounding that the first left
            product = product - done.T @ (done @ product)
        residuals.append(_norm(product))
        if not math.isfinite(diagonal[-1] + residuals[-1]):
            raise ValueError(f"products must be finite, got {diagonal[-1]}; the weights have diverged or the data are not finite")
        if residuals[-1] <= breakdown * max(abs(d) + r for d, r in zip(diagonal, residuals, strict=True)):
            break
        if i + 1 < len(basis):
            basis[i + 1] = product / residuals[-1]
    return Krylov(basis.new_empty(0, len(start)), _tridiagonal(diagonal, residuals))


def _advance(run: Generator[Krylov, Tensor, Krylov], product: Tensor | None = None) -> Krylov:
    try:
        return next(run) if product is None else run.send(product)
    except StopIteration as end:
        return end.value


def side_by_side(
    matvecs: Matvec,
    starts: Float[Tensor, "num_starts n"],
    num_iterations: int,
    breakdown: float | None = None,
    resume: Sequence[Krylov] = (),
    monitor: Monitor | None = None,
    enough: Enough | None = None,
) -> list[Tridiagonal]:
    """Run Lanczos from several starts, each by itself, in step, so that their products can share work.

    A start's result does not depend on its companions where its products do not.

    Args:
        matvecs: products with A of the rows of a block (k, n), k <= num_starts: a start that is done drops out.
        starts: one a row, in any scale; the basis of each, (num_iterations, n), has their number format and device.
        num_iterations: the most products a start, at least 1; n at most are made.
        breakdown: stop where the residual falls to this share of the largest entries of T so far: the space is invariant up
            to rounding. 10 units of rounding of the starts' format if not given: what is this small is lost, so better too late
            than too early. Going on costs products, and a multiple eigenvalue may come up again and share its weight.
        resume: how far the run of each start came in an earlier call that was alike; going on gives the same bits. None of
            them: from the starts.
        monitor: told after each block of products how far all runs are. The bases are the runs' own: they grow, and what is
            in them stays.
        enough: told after each block of products what was found of each start; once it says so, all runs are done.

    Returns:
        T of each start.

    Raises:
        ValueError: a start is zero, a product is not finite, num_iterations < 1, or `resume` is of other runs.

    Source: Golub and Van Loan, Matrix Computations, 10.3, with full reorthogonalisation.
    """
    if num_iterations < 1:
        raise ValueError(f"num_iterations must be at least 1, got {num_iterations}; the first product is the least")
    if breakdown is None:
        breakdown = 10 * torch.finfo(starts.dtype).eps
    so_far: Sequence[Krylov | None] = resume or [None] * len(starts)
    if resume and [run.basis.shape[1] for run in resume] != [starts.shape[1]] * len(starts):
        expected, got = tuple(starts.shape), [tuple(run.basis.shape) for run in resume]
        raise ValueError(f"resume must have a run of each of the starts {expected}, got bases {got}; give what monitor was told")
    runs = [_steps(start, num_iterations, breakdown, begun) for start, begun in zip(starts, so_far, strict=True)]
    states = [_advance(run) for run in runs]
    while going := [i for i, state in enumerate(states) if len(state.basis)]:
        products = matvecs(torch.stack([states[i].basis[-1] for i in going]))
        for i, product in zip(going, products, strict=True):
            states[i] = _advance(runs[i], product)
        if enough and enough([state.found for state in states]):
            states = [Krylov(starts.new_empty(0, starts.shape[1]), state.found) for state in states]
        if monitor:
            monitor(tuple(states))
    return [state.found for state in states]


def lanczos(matvec: Matvec, start: Float[Tensor, " n"], num_iterations: int, breakdown: float | None = None) -> Tridiagonal:
    """Run Lanczos from one start: `A Q = Q T + residual * q_next e_m^T`, with full reorthogonalisation.

    Args:
        matvec: maps a vector (n,) to its product with A, which is symmetric.
        start: (n,), in any scale.
        num_iterations: the most products, at least 1; n at most are made.
        breakdown: as for `side_by_side`.

    Returns:
        T, of as many rows as there were products.

    Raises:
        ValueError: the start is zero, a product is not finite, or num_iterations < 1.

    Source: Golub and Van Loan, Matrix Computations, 10.3.

    Example:
        >>> eigenvalues = torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64)
        >>> found = lanczos(lambda v: eigenvalues * v, torch.ones(3, dtype=torch.float64), num_iterations=3)
        >>> ritz(found).values.round(6).tolist()
        [1.0, 2.0, 5.0]
    """
    return side_by_side(lambda block: matvec(block[0])[None], start[None], num_iterations, breakdown)[0]


def cut_short(tridiagonal: Tridiagonal, share: float) -> Tridiagonal:
    """Return what that share of the iterations would have found, rounded down, at least one; it costs no product."""
    num = max(1, int(share * len(tridiagonal.diagonal)))
    residual = float(tridiagonal.off_diagonal[num - 1]) if len(tridiagonal.off_diagonal) >= num else tridiagonal.residual
    return Tridiagonal(tridiagonal.diagonal[:num], tridiagonal.off_diagonal[: num - 1], residual)


def ritz(tridiagonal: Tridiagonal) -> Ritz:
    """Diagonalise T: `sum(weights * f(values))` is `q^T f(A) q` of the unit start q, exact for polynomials of degree < 2m.

    Args:
        tridiagonal: T, m rows.

    Returns:
        m eigenvalues of T, their weights and residuals.

    Example:
        >>> pairs = ritz(spectrum.probes[0])
        >>> round(float(pairs.weights.sum()), 6), len(pairs.values)
        (1.0, 10)

    Source: Golub and Meurant, Matrices, Moments and Quadrature, 2010, chapter 6.
    """
    beside = tridiagonal.off_diagonal
    values, vectors = np.linalg.eigh(np.diag(tridiagonal.diagonal) + np.diag(beside, 1) + np.diag(beside, -1))
    return Ritz(values, vectors[0] ** 2, tridiagonal.residual * np.abs(vectors[-1]))


def with_node(tridiagonal: Tridiagonal, node: float) -> Ritz:
    """Add a prescribed node to the quadrature: Gauss-Radau.

    Of a function whose derivatives alternate in sign, such as c / (x + c), Gauss is a lower bound and Gauss-Radau with a
    node below the spectrum an upper one. Residuals are not known: the product with the added vector was not made.

    Args:
        tridiagonal: T; where its space is invariant its own quadrature is exact, and comes back.
        node: below all eigenvalues of T, for example 0 for a positive semi-definite operator.

    Raises:
        ValueError: the node does not lie below T's eigenvalues.

    Source: Golub, Some modified matrix eigenvalue problems, SIAM Review 1973.
    """
    found = ritz(tridiagonal)
    if tridiagonal.residual <= np.finfo(np.float64).eps * np.abs(found.values).max():
        return found
    if found.values[0] <= node:
        raise ValueError(f"node must be below the lowest Ritz value {found.values[0]}, got {node}; the bound needs a lower one")
    # e_m^T (T - node)^-1 e_m times residual^2, in T's eigenvectors.
    last = node + float((found.residuals**2 / (found.values - node)).sum())
    longer = Tridiagonal(
        np.append(tridiagonal.diagonal, last), np.append(tridiagonal.off_diagonal, tridiagonal.residual), math.nan
    )
    return ritz(longer)
