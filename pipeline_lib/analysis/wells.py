"""Quadratic wells: how large a random affine subspace must be to meet a sublevel set. Numbers behind paper C's lemma 3.1."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from jaxtyping import Float64


def long_tailed(dimension: int, spread: float = 3.0) -> Float64[np.ndarray, " dimension"]:
    """Plant a long-tailed spectrum: evenly spaced quantiles of a log-normal distribution of median 1.

    `lambda_i = exp(spread * Phi^-1((i - 1/2) / D))`: nothing is drawn, so that all randomness is in the subspaces.

    Args:
        dimension: D, at least 1.
        spread: standard deviation of the logarithms; 3 covers about 8 decades at D = 500.

    Returns:
        (D,) eigenvalues, ascending, all positive.
    """
    if dimension < 1:
        raise ValueError(f"dimension must be at least 1, got {dimension}; a well has directions")
    normal = NormalDist(0, spread)
    return np.exp([normal.inv_cdf((i + 0.5) / dimension) for i in range(dimension)])


def threshold(eigenvalues: Float64[np.ndarray, " dimension"], distance: float, epsilon: float) -> float:
    """Predict the dimension from which random subspaces meet the sublevel set.

    `d* = D - sum_i r_i^2 / (R^2 + r_i^2)`, `r_i^2 = 2 epsilon / lambda_i`.

    Args:
        eigenvalues: (D,) of the Hessian, positive.
        distance: R, of the subspace's centre to the minimum.
        epsilon: height of the sublevel set above the minimum, positive.

    Returns:
        d*, in [0, D].

    Source: paper C, lemma 3.1: an approximate upper bound.
    """
    if not epsilon > 0:
        raise ValueError(f"epsilon must be positive, got {epsilon}; it is the height of the sublevel set")
    radii = 2 * epsilon / eigenvalues
    return float(len(eigenvalues) - (radii / (distance**2 + radii)).sum())


def heights(eigenvalues: Float64[np.ndarray, " dimension"], rng: np.random.Generator) -> Float64[np.ndarray, " subspaces"]:
    """Find how low the well is on nested random subspaces whose centre P is at distance 1 in a random direction.

    `min_y (P + A_d y)^T H (P + A_d y) / 2`, where A_d is the first d columns of one Gaussian matrix: least squares in the
    coordinates `H^(1/2) x`. One triangular factor solves all of them: by `H^(1/2) [A P] = Q T` the last column of T has P's
    share along each new direction, and what is beyond the first d is left.

    Args:
        eigenvalues: (D,) of the diagonal Hessian H, positive.
        rng: of P's direction and of A; drawing moves it on.

    Returns:
        (D + 1,) heights for d = 0 to D, falling to 0. With P at distance R they are R^2 times as high.
    """
    dimension = len(eigenvalues)
    drawn = rng.standard_normal((dimension, dimension + 1))
    drawn[:, -1] /= np.linalg.norm(drawn[:, -1])
    shares = np.asarray(np.linalg.qr(np.sqrt(eigenvalues)[:, None] * drawn, mode="r"))[:, -1]
    return np.append(np.cumsum(shares[::-1] ** 2)[::-1] / 2, 0.0)


def probabilities(
    lowest: Float64[np.ndarray, "trials subspaces"], distance: float, epsilon: float
) -> Float64[np.ndarray, " subspaces"]:
    """Count how often subspaces of each dimension meet the sublevel set.

    Args:
        lowest: `heights` of each trial.
        distance: R, of the subspaces' centre to the minimum.
        epsilon: height of the sublevel set.

    Returns:
        Share of the trials for each dimension d = 0 to D; it never falls with d.
    """
    return (distance**2 * lowest <= epsilon).mean(axis=0)
