"""Lanczos: a symmetric operator that is known by its products alone, seen from a start as a small tridiagonal matrix."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

Matvec = Callable[[Tensor], Tensor]


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


def _steps(start: Tensor, num_iterations: int, breakdown: float) -> Generator[Tensor, Tensor, Tridiagonal]:
    """Yield the vectors whose products are wanted, take the products, and return T."""
    norm = _norm(start)
    if not 0 < norm < math.inf:
        raise ValueError(f"start must be finite and not zero, got a norm of {norm}; give a direction")
    basis = start.new_empty(min(num_iterations, len(start)), len(start))
    basis[0] = start / norm
    diagonal, off_diagonal, scale, residual = list[float](), list[float](), 0.0, 0.0
    for i, newest in enumerate(basis):
        if i:
            off_diagonal.append(residual)
        product = yield newest
        diagonal.append(float(newest.double() @ product.double()))
        done = basis[: i + 1]
        for _ in range(2):  # twice is enough: the second pass removes the rounding that the first left
            product = product - done.T @ (done @ product)
        residual = _norm(product)
        if not math.isfinite(diagonal[-1] + residual):
            raise ValueError(f"products must be finite, got {diagonal[-1]}; the weights have diverged or the data are not finite")
        scale = max(scale, abs(diagonal[-1]) + residual)
        if residual <= breakdown * scale:
            break
        if i + 1 < len(basis):
            basis[i + 1] = product / residual
    return Tridiagonal(np.array(diagonal), np.array(off_diagonal), residual)


def side_by_side(
    matvecs: Matvec, starts: Float[Tensor, "num_starts n"], num_iterations: int, breakdown: float | None = None
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

    Returns:
        T of each start.

    Raises:
        ValueError: a start is zero, a product is not finite, or num_iterations < 1.

    Source: Golub and Van Loan, Matrix Computations, 10.3, with full reorthogonalisation.
    """
    if num_iterations < 1:
        raise ValueError(f"num_iterations must be at least 1, got {num_iterations}; the first product is the least")
    if breakdown is None:
        breakdown = 10 * torch.finfo(starts.dtype).eps
    runs = [_steps(start, num_iterations, breakdown) for start in starts]
    wanted = {i: next(run) for i, run in enumerate(runs)}
    found: dict[int, Tridiagonal] = {}
    while wanted:
        products = matvecs(torch.stack(list(wanted.values())))
        for i, product in zip(list(wanted), products, strict=True):
            try:
                wanted[i] = runs[i].send(product)
            except StopIteration as end:
                found[i] = end.value
                del wanted[i]
    return [found[i] for i in range(len(runs))]


def lanczos(matvec: Matvec, start: Float[Tensor, " n"], num_iterations: int, breakdown: float | None = None) -> Tridiagonal:
    """Run Lanczos from one start; `matvec` maps a vector (n,) to its product with A, the rest is as in `side_by_side`."""
    return side_by_side(lambda block: matvec(block[0])[None], start[None], num_iterations, breakdown)[0]


def halved(tridiagonal: Tridiagonal) -> Tridiagonal:
    """Return what half as many iterations would have found; it costs no product."""
    num = max(1, len(tridiagonal.diagonal) // 2)
    residual = float(tridiagonal.off_diagonal[num - 1]) if len(tridiagonal.off_diagonal) >= num else tridiagonal.residual
    return Tridiagonal(tridiagonal.diagonal[:num], tridiagonal.off_diagonal[: num - 1], residual)


def ritz(tridiagonal: Tridiagonal) -> Ritz:
    """Diagonalise T: `sum(weights * f(values))` is `q^T f(A) q` of the unit start q, exact for polynomials of degree < 2m.

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
