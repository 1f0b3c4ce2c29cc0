"""How far the loss can be followed from a solution until it is too high, along directions of three kinds, without a Hessian."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pipeline_lib.analysis.lanczos import Matvec
from pipeline_lib.core.types import Mask, State

KINDS = ("random", "magnitude", "curvature")


def survivors(state: State, names: Sequence[str], mask: Mask) -> Float[Tensor, " num_kept"]:
    """Give the surviving entries of the named tensors, one after the other."""
    return torch.cat([state.params[name][torch.from_numpy(mask[name]).to(state.params[name].device)] for name in names])


def moved_along(state: State, names: Sequence[str], mask: Mask, way: Float[Tensor, " num_kept"]) -> State:
    """Add a vector of the survivors' space to a state; all else stays.

    Args:
        state: where to start.
        names: of the tensors that the vector runs through, in its order.
        mask: kept entries of these.
        way: what to add.
    """
    kept = {name: torch.from_numpy(mask[name]).to(way.device) for name in names}
    pieces, params = way.split([int(kept[name].sum()) for name in names]), dict(state.params)
    for name, piece in zip(names, pieces, strict=True):
        params[name] = params[name].clone()
        params[name][kept[name]] += piece
    return State(params, state.buffers)


def direction(kind: str, weights: Float[Tensor, " n"], product: Matvec, generator: torch.Generator) -> Float[Tensor, " n"]:
    """Draw a unit vector: of equal chances everywhere, by the weights' sizes, or by the curvature.

    `v = g / |g|` with g a normal vector ("random"), `|w| g` ("magnitude") or `G g` ("curvature"), G the Gauss-Newton matrix.

    Args:
        kind: one of `KINDS`.
        weights: the surviving weights w.
        product: products with G.
        generator: on the CPU; drawing moves it on.
    """
    drawn = torch.randn(len(weights), generator=generator).to(weights)
    if kind == "magnitude":
        drawn = drawn * weights.abs()
    elif kind == "curvature":
        drawn = product(drawn)
    elif kind != "random":
        raise ValueError(f"kind must be random, magnitude or curvature, got {kind!r}; choose how directions are weighted")
    size = drawn.double().norm()
    return (drawn / size).to(weights) if size > 0 else drawn


def lemma_share(radii: Float[np.ndarray, " num"], distances: Float[np.ndarray, " places"]) -> tuple[np.ndarray, np.ndarray]:
    """Take the lemma's sum over measured radii: the mean of `r^2 / (R^2 + r^2)`, and its standard error.

    Along principal axes that is the lemma's own sum. A random direction r has `1 / r^2` the mean over axes, so that of these
    the sum is at most the lemma's (Jensen); where the loss is no quadratic it is what there is.

    Args:
        radii: by direction; infinite where the loss stays low.
        distances: R.

    Returns:
        Mean and error for each distance; NaN without a direction, and an error of NaN for a single one.

    Source: paper C, lemma 3.1.
    """
    if not len(radii):
        return np.full(len(distances), np.nan), np.full(len(distances), np.nan)
    terms = 1 / (1 + (distances / radii[:, None]) ** 2)
    error = terms.std(0, ddof=1) / len(radii) ** 0.5 if len(radii) > 1 else np.full(len(distances), np.nan)
    return terms.mean(0), error
