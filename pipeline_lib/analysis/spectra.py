"""Spectra by stochastic Lanczos quadrature, and what papers A and C read off them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pipeline_lib.analysis.lanczos import Enough, Matvec, Ritz, Tridiagonal, cut_short, ritz, side_by_side, with_node

Function = Callable[[np.ndarray], np.ndarray]
NEGATIVE = ("clamped", "absolute", "dropped")
_EARLIER = (
    8  # shorter runs, from half the iterations on, that tell how far a quadrature still moves; one alone can agree by chance
)

_INVARIANT = 1e-5


@dataclass(frozen=True)
class Spectrum:
    """What Lanczos found of an operator, from each of some random probes.

    Args:
        dim: dimension of the operator.
        probes: T of each probe.
    """

    dim: int
    probes: Sequence[Tridiagonal]

    @cached_property
    def full(self) -> list[Ritz]:
        """Ritz pairs of each probe."""
        return [ritz(probe) for probe in self.probes]

    @cached_property
    def exact(self) -> bool:
        """Whether each probe's space is invariant up to float32's rounding."""
        sizes = [np.abs(pairs.values).max() for pairs in self.full]
        return all(probe.residual <= _INVARIANT * size for probe, size in zip(self.probes, sizes, strict=True))

    @cached_property
    def earlier(self) -> list[list[Ritz]]:
        """Ritz pairs of each probe after half the iterations, and after several numbers up to all; those of all where exact."""
        if self.exact:
            return [self.full]
        shares = np.linspace(0.5, 1, _EARLIER, endpoint=False)
        return [[ritz(cut_short(probe, share)) for probe in self.probes] for share in shares.tolist()]


@dataclass(frozen=True)
class Estimate:
    """A mean over probes and its errors; that of the probes and that of the quadrature are different things.

    Args:
        value: mean over probes, with all iterations; NaN where nothing counts.
        standard_error: of the mean over probes, from how they differ; NaN for a single one.
        change: to all iterations from that number of them, half or more, whose value was farthest from this one.
        deviation: the most that random signs can make a mean of traces deviate, from the spectrum; NaN for a ratio of traces.
        num: probes.
    """

    value: float
    standard_error: float
    change: float
    deviation: float = math.nan
    num: int = 0

    @property
    def spread(self) -> float:
        """Half the width of a 95 % interval for what endless probes would give; of a ratio by Student's t, NaN for one probe."""
        from scipy.special import stdtrit

        if math.isfinite(self.deviation):
            return float(stdtrit(math.inf, 0.975)) * self.deviation
        return float(stdtrit(self.num - 1, 0.975)) * self.standard_error if self.num > 1 else math.nan

    @property
    def band(self) -> float:
        """Half the width of a band for the exact value: |change| and the spread over probes."""
        return abs(self.change) + self.spread


def rademacher(like: Float[Tensor, " n"], generators: Sequence[torch.Generator]) -> Float[Tensor, "num_probes n"]:
    """Draw one vector of random signs for each CPU generator, on the device and in the number format of `like`."""
    signs = [torch.randint(2, (len(like),), generator=generator) for generator in generators]
    return (2 * torch.stack(signs) - 1).to(like)


def spectrum(
    matvecs: Matvec,
    like: Float[Tensor, " n"],
    num_iterations: int,
    probes: Sequence[torch.Generator],
    breakdown: float | None = None,
    enough: Enough | None = None,
) -> Spectrum:
    """Probe an operator with random signs: one Lanczos run a probe, in step.

    Args:
        matvecs: products with the rows of a block, as `curvature.hessian_product` makes.
        like: any vector of the operator's space.
        num_iterations: products a probe; more of these beat more probes.
        probes: generator of each probe's signs; drawing moves it on.
        breakdown: see `lanczos.side_by_side`.
        enough: see there; `resolution.settled` makes one.

    Source: Ubaru, Chen and Saad, Fast estimation of tr(f(A)) via stochastic Lanczos quadrature, 2017.
    """
    if not probes:
        raise ValueError("probes must have at least one generator, got none; each makes one random vector")
    return Spectrum(len(like), side_by_side(matvecs, rademacher(like, probes), num_iterations, breakdown, enough=enough))


def _ratio(pairs: Sequence[Ritz], above: Function, below: Function) -> tuple[float, float]:
    """Return `sum above / sum below` over the quadratures of all probes, and its standard error by linearisation."""
    tops = np.array([found.weights @ above(found.values) for found in pairs])
    bottoms = np.array([found.weights @ below(found.values) for found in pairs])
    num, bottom = len(pairs), bottoms.mean()
    if bottom == 0:
        return math.nan, math.nan
    value = tops.mean() / bottom
    error = math.sqrt(((tops - value * bottoms) ** 2).sum() / (num * (num - 1))) / bottom if num > 1 else math.nan
    return float(value), float(error)


def _deviation(found: Spectrum, summand: Function) -> float:
    """Bound the deviation of `s^T f(A) s / n` over random signs s: `sqrt(2 / n var f(lambda))`, of a mean of probes' forms.

    Its variance is `2 sum_{i != j} f(A)_ij^2 / n^2`; a multiple of the identity adds nothing to it.
    """
    first = _ratio(found.full, summand, np.ones_like)[0]
    second = _ratio(found.full, lambda v: summand(v) ** 2, np.ones_like)[0]
    return math.sqrt(2 * max(second - first**2, 0.0) / (found.dim * len(found.probes)))


def _estimate(found: Spectrum, above: Function, below: Function | None = None) -> Estimate:
    """Estimate a ratio of two traces, or the mean of a function over the spectrum."""
    under = below or np.ones_like
    value, error = _ratio(found.full, above, under)
    moves = [value - _ratio(pairs, above, under)[0] for pairs in found.earlier]
    deviation = math.nan if below else _deviation(found, above)
    return Estimate(value, error, max(moves, key=abs), deviation, len(found.probes))


def _free(c: float, negative: str) -> tuple[Function, Function | None]:
    """Return the summand of f_max and what it is averaged over, all if None, as functions of the eigenvalue."""
    if not c > 0:
        raise ValueError(f"c must be positive, got {c}; it is 2 eps / R^2")
    if negative not in NEGATIVE:
        raise ValueError(f"negative must be clamped, absolute or dropped, got {negative!r}; choose what counts below zero")
    if negative == "dropped":
        return lambda v: (v > 0) / (1 + np.maximum(v, 0) / c), lambda v: (v > 0).astype(float)
    return lambda v: 1 / (1 + (np.abs(v) if negative == "absolute" else np.maximum(v, 0)) / c), None


def f_max(found: Spectrum, c: Sequence[float], negative: str = "clamped") -> list[Estimate]:
    """Estimate the largest share of weights that random pruning can remove within a sublevel set of the loss.

    `f_max(c) = (1/n) sum_i c / (lambda_i + c), c = 2 eps / R^2`: eps is the height of the sublevel set above the loss here, R the
    distance that pruning projects. The whole curve comes from one spectrum, by its raw nodes and weights.

    Args:
        found: spectrum of the Hessian in the surviving weights.
        c: where to evaluate, each positive, in units of the eigenvalues.
        negative: an eigenvalue below 0 counts as 0, a free direction ("clamped"), by its size ("absolute"), or it and zeros
            are left out of the mean ("dropped").

    Returns:
        One estimate for each c, in [0, 1].

    Example:
        >>> near, far = f_max(spectrum, [10.0, 0.1])
        >>> 1 > near.value > far.value > 0
        True

    Source: paper C, section 3.3 and lemma 3.1; ambiguities C-X6, C-X7.
    """
    return [_estimate(found, *_free(each, negative)) for each in c]


def f_max_bounds(found: Spectrum, c: Sequence[float], node: float = 0.0) -> list[tuple[float, float]]:
    """Bracket what f_max would be with endless iterations of the same probes, for a positive semi-definite operator.

    Gauss quadrature lies below, Gauss-Radau with a node at or below the whole spectrum above. Products in float32 put
    eigenvalues that are zero a little below it: give a node below those too. The upper bound is then that of
    `(c - node) / (lambda - node + c)`, which is above f_max for every eigenvalue from the node on.

    Args:
        found: spectrum, for example of the Gauss-Newton matrix.
        c: as for `f_max`.
        node: at most 0; see `lanczos.with_node`, which refuses one that is too high.

    Returns:
        (lower, upper) for each c, means over probes; the probes' own spread is in `f_max`.
    """
    if node > 0:
        raise ValueError(f"node must be at most 0, got {node}; an eigenvalue of a semi-definite operator may be 0")
    above, bounds = [with_node(probe, node) for probe in found.probes], []
    for each in c:
        lower = _ratio(found.full, _free(each, "clamped")[0], np.ones_like)[0]
        shifted = [Ritz(np.maximum(pairs.values - node, 0), pairs.weights, pairs.residuals) for pairs in above]
        # (c - node) / (lambda - node + c) is that share of c / (lambda - node + c).
        upper = (1 - node / each) * _ratio(shifted, _free(each, "clamped")[0], np.ones_like)[0]
        bounds.append((lower, min(max(lower, upper), 1.0)))
    return bounds


def trace(found: Spectrum) -> Estimate:
    """Estimate the sum of all eigenvalues: `n sum_j w_j lambda_j`, mean over probes.

    Its quadrature is exact from the first iteration, the probes are what varies.

    Args:
        found: spectrum.

    Returns:
        The estimate, in units of the eigenvalues, with its two errors.

    Example:
        >>> found = trace(spectrum)
        >>> found.value > 0, abs(found.change) < 0.01 * found.value
        (True, True)
    """
    return _estimate(found, lambda v: found.dim * v)


def negative_mass(found: Spectrum) -> Estimate:
    """Estimate the negative eigenvalues' share of all: `sum_{lambda < 0} |lambda| / sum |lambda|`.

    Args:
        found: spectrum.

    Returns:
        The estimate, in [0, 1], with its two errors.

    Example:
        >>> 0 <= negative_mass(spectrum).value <= 1
        True
    """
    return _estimate(found, lambda v: np.maximum(-v, 0), np.abs)


def _converged(pairs: Ritz, tolerance: float) -> np.ndarray:
    return pairs.residuals <= tolerance * np.abs(pairs.values)


def _check_k(k: int) -> None:
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}; count eigenvalues from the largest")


def top_values(pairs: Ritz, k: int, tolerance: float = 1e-3, lowest: bool = False) -> list[float | None]:
    """Read off the k largest eigenvalues, largest first, or the k lowest, lowest first; a multiple one appears once.

    Args:
        pairs: of one start, which must have a share of each eigenvector: a random one has.
        k: how many, at least 1.
        tolerance: a value whose residual is beyond this share of its size has not converged.
        lowest: read from the other end.

    Returns:
        k values; None where a value has not converged or was not found.

    Example:
        >>> (top,) = top_values(spectrum.full[0], 1)
        >>> bool(top == spectrum.full[0].values[-1])
        True
    """
    _check_k(k)
    values = [float(v) if good else None for v, good in zip(pairs.values, _converged(pairs, tolerance), strict=True)]
    ordered = values if lowest else values[::-1]
    return [*ordered[:k], *[None] * (k - len(ordered))]


def gradient_overlap(pairs: Ritz, k: int, tolerance: float = 1e-3) -> float | None:
    """Read off the gradient's share in the span of the top k eigenvectors: `|P_k g|^2 / |g|^2`, in [0, 1].

    Args:
        pairs: of Lanczos started at the gradient: the weights are its squared cosines with the eigenvectors.
        k: how many eigenvectors, at least 1; those to which the gradient is orthogonal do not count.
        tolerance: see `top_values`.

    Returns:
        The share; None where one of the k has not converged or was not found.

    Source: Gur-Ari, Roberts and Dyer, Gradient descent happens in a tiny subspace, 2018; paper A, section 2.
    """
    _check_k(k)
    if k > len(pairs.values) or not _converged(pairs, tolerance)[-k:].all():
        return None
    return float(pairs.weights[-k:].sum())
