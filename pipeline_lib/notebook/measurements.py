"""Measurements of trained networks: paths between them, planes through them, curvature at them."""

from __future__ import annotations

from functools import partial, singledispatch

import numpy as np

from pipeline_lib.analysis import paths, planes, spectra
from pipeline_lib.analysis.curvature import OPERATORS
from pipeline_lib.analysis.paths import Ends
from pipeline_lib.analysis.spectra import Spectrum
from pipeline_lib.analysis.sublevel_sets import Landscape
from pipeline_lib.core import algebra
from pipeline_lib.core.parameters import prunable
from pipeline_lib.core.rng import torch_generator
from pipeline_lib.core.types import Mask, State
from pipeline_lib.notebook import given
from pipeline_lib.notebook import own as of_modules
from pipeline_lib.stages.support.data import World
from pipeline_lib.training.evaluation import Score, chunks, subset


@singledispatch
def path(
    world: World, first: State, second: State, num: int = 30, split: str = "test", batchnorm: str = "averaged"
) -> dict[float, Score]:
    """Evaluate the line between two networks: `E(alpha W_1 + (1 - alpha) W_2)`, every tensor of the state mixed.

    Of modules: `path(first, second, data, num=30, loss=cross_entropy)`, see `notebook/own.py`.

    Args:
        world: of the task.
        first: W_1, at alpha = 1.
        second: W_2, at alpha = 0.
        num: evenly spaced alphas in [0, 1], ends included; 1/2 is added.
        split: "train" or "test".
        batchnorm: statistics "averaged" like weights, or "recomputed" on training images at each point.

    Returns:
        Error, a share, and loss, in nats, by alpha, ascending.

    Source: paper B, section 2.

    Example:
        >>> line = path(digits, one, other, num=5)
        >>> [alpha for alpha in line], line[1.0] == evaluate(digits, one)
        ([0.0, 0.25, 0.5, 0.75, 1.0], True)
    """
    ways = {"averaged": paths.paths, "recomputed": paths.recomputed_paths}
    if batchnorm not in ways:
        raise ValueError(f"batchnorm must be averaged or recomputed, got {batchnorm!r}; choose one of them")
    weights = paths.with_midpoint(paths.alphas(num))
    states = [algebra.moved(state, world.device) for state in (first, second)]
    part, data = world.split(split), world.dataset
    found = ways[batchnorm](world.network, states, [(0, 1)], weights, part, data, world.numerics)
    return dict(zip(weights, found[0, 1], strict=True))


@singledispatch
def instability(
    world: World, first: State, second: State, num: int = 30, split: str = "test", batchnorm: str = "averaged"
) -> Ends:
    """Sum up the line between two networks: `instability = max_alpha E(alpha) - (E_1 + E_2) / 2`.

    `barrier` is `max_alpha E(alpha) - (alpha E_1 + (1 - alpha) E_2)`, `loss_barrier` the same of the loss, `midpoint_error`
    E(1/2); `num` evenly spaced alphas count. Two copies of a network that were trained under two orders of SGD noise are
    stable if it is below 0.02, and they are at least 0.2 better than guessing.

    Of modules: `instability(first, second, data, num=30, loss=cross_entropy)`, see `notebook/own.py`.

    Args:
        world: of the task.
        first: W_1.
        second: W_2.
        num: as for `path`.
        split: "train" or "test".
        batchnorm: as for `path`.

    Returns:
        The sums, errors as shares, losses in nats.

    Source: paper B, section 2; paper C, definition 2.1.

    Example:
        >>> found = instability(digits, one, other, num=5)
        >>> found.instability == found.max_error - found.mean_end_error
        True
        >>> instability(digits, one, one, num=5).barrier
        0.0
    """
    line = path(world, first, second, num, split, batchnorm)
    return paths.summarise(list(line), list(line.values()), num)


def layerwise(world: World, first: State, second: State, num: int = 30, split: str = "test") -> dict[str, list[Score]]:
    """Move one block of a network to its place in another, all else staying: `E(W_1 + (1 - alpha) P_block (W_2 - W_1))`.

    Args:
        world: of the task.
        first: W_1, the network that moves.
        second: W_2, where its blocks go.
        num: evenly spaced points, ends included.
        split: "train" or "test".

    Returns:
        `num` errors and losses for each block, from W_1 to W_1 with the block of W_2.

    Source: paper B, section 2, applied to one block at a time.

    Example:
        >>> found = layerwise(digits, one, other, num=3)
        >>> {block: len(scores) for block, scores in found.items()}
        {'stem': 3, 'body.fc2': 3}
    """
    one, other = (algebra.moved(state, world.device) for state in (first, second))
    part, data = world.split(split), world.dataset
    return paths.layerwise(world.network, one, other, paths.alphas(num), part, data, world.numerics)


@singledispatch
def plane(
    world: World,
    solution: State,
    second: State,
    third: State,
    num: int = 21,
    margin: float = 0.2,
    split: str = "test",
) -> Landscape:
    """Evaluate the plane of prunable weights through three networks: `E(a W_1 + b W_2 + c W_3), a + b + c = 1`.

    x points from the first to the second, y is orthogonal to it, towards the third; both in units of distance in weight space.

    Of modules: `plane(solution, second, third, data, num=21, margin=0.2, loss=cross_entropy, names=None)`, see `notebook/own.py`.

    Args:
        world: of the task.
        solution: W_1, at the origin, which sublevel sets are seen from.
        second: W_2.
        third: W_3.
        num: values on each axis.
        margin: how much farther the grid reaches than the three, as a share of their extent.
        split: "train" or "test".

    Returns:
        Errors on the grid, with `sublevel_set(threshold)` and `reach(axis, forwards, threshold)`.

    Raises:
        ValueError: the three lie on one line.

    Source: paper C, appendix B and definition 2.4.

    Example:
        >>> found = plane(digits, one, other, w0, num=5)
        >>> found.errors.shape, found.own == evaluate(digits, one).error
        ((5, 5), True)
        >>> bool(found.sublevel_set(1.0).all())
        True
    """
    given.check_grid(num, margin)
    one, two, three = (algebra.moved(state, world.device) for state in (solution, second, third))
    spanned = planes.through((one, two, three), prunable(world.network), follow=True)
    x, y = planes.covering(spanned, num, margin)
    points = np.concatenate([planes.grid_points(x, y), spanned.places[:1]])
    part, data = world.split(split), world.dataset
    *errors, own = [score.error for score in planes.scores(world.network, spanned, points, part, data, world.numerics)]
    return Landscape(x, y, np.array(errors).reshape(len(y), len(x)), spanned.places[0], own)


@singledispatch
def hessian(
    world: World,
    state: State,
    mask: Mask | None = None,
    iterations: int = 30,
    probes: int = 4,
    examples: int = 1000,
    operator: str = "hessian",
    seed: int = 0,
) -> Spectrum:
    """Probe the curvature of the training loss in the surviving weights, by Lanczos from random signs.

    `H = d^2 L / dw^2, L = (1/N) sum_n -log p(y_n | x_n)`, without weight decay and in eval mode; what follows from it is read off
    by `trace`, `negative_mass`, `f_max`, and `top_values` of one of `spectrum.full`.

    Of modules: `hessian(network, data, mask=None, iterations=30, probes=4, loss=cross_entropy, seed=0, names=None)`, see
    `notebook/own.py`.

    Args:
        world: of the task.
        state: where to take it.
        mask: what survives; everything that can be pruned if not given.
        iterations: products a probe, at most one a weight; more of these beat more probes.
        probes: random starts.
        examples: training images, drawn at random; fewer look flatter.
        operator: "hessian" or "gauss_newton".
        seed: of the probes.

    Returns:
        What Lanczos found from each probe.

    Raises:
        ValueError: an unknown operator, no probe, no iteration, or a mask that does not fit or keeps nothing.

    Source: Ubaru, Chen and Saad, 2017; paper C, section 3.3.

    Example:
        >>> found = hessian(digits, one, mask, iterations=5, probes=1, examples=64)
        >>> found.dim == num_kept(mask), len(found.full[0].values)
        (True, 5)
    """
    if operator not in OPERATORS:
        raise ValueError(f"operator must be hessian or gauss_newton, got {operator!r}; choose one of them")
    part = subset(world.dataset.train, examples, "curvature")
    batches = partial(chunks, part, world.dataset, world.numerics)
    there = algebra.moved(state, world.device)
    product, gradient = OPERATORS[operator](world.network, there, batches, prunable(world.network), mask)
    return spectra.spectrum(product, gradient, iterations, [torch_generator("probe", seed, i) for i in range(probes)])


given.answer(path, of_modules.path)
given.answer(instability, of_modules.instability)
given.answer(plane, of_modules.plane)
given.answer(hessian, of_modules.hessian)
