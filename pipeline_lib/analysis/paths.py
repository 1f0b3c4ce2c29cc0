"""Error and loss along the straight line between trained states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import UInt8
from torch import Tensor, nn
from torch.func import functional_call

from pipeline_lib.core import algebra
from pipeline_lib.core.parameters import NORMS, blocks
from pipeline_lib.core.rng import torch_generator
from pipeline_lib.core.types import Dataset, Split, State, Tensors
from pipeline_lib.training.batches import Normaliser
from pipeline_lib.training.evaluation import Score, Tally, chunks, part
from pipeline_lib.training.precision import Numerics
from pipeline_lib.training.room import fitting

Pair = tuple[int, int]
STATISTICS_IMAGES = 5000
STATISTICS_CHUNK = 128
_OF_BATCHNORM = ("running_mean", "running_var", "num_batches_tracked")


@dataclass(frozen=True)
class Distances:
    """L2 distances of a pair: over all trainable parameters, and over prunable weights only (B-X7)."""

    params: float
    weights: float


def alphas(num: int) -> list[float]:
    """Return `num` evenly spaced points of [0, 1], ends included."""
    if num < 2:
        raise ValueError(f"alphas must be at least 2, got {num}; the path needs both ends")
    return [i / (num - 1) for i in range(num)]


@fitting
@torch.no_grad()
def paths(
    network: nn.Sequential,
    states: Sequence[State],
    pairs: Sequence[Pair],
    weights: Sequence[float],
    split: Split,
    dataset: Dataset,
    numerics: Numerics | None = None,
) -> dict[Pair, list[Score]]:
    """Evaluate `alpha * W_i + (1 - alpha) * W_j` for each pair (i, j) and each alpha, in eval mode.

    Every tensor of the state is mixed, BatchNorm statistics included (G-9). The stem is affine in its parameters, so its
    output at a mixture is the mixture of its outputs at the two ends: it runs once a state instead of once a point. For a
    fully connected network that is most of the arithmetic. An end of a path is that state's own evaluation, bit for bit.

    Args:
        network: template with a `stem` and a `body`.
        states: what the pairs index.
        pairs: (i, j); alpha = 1 is state i, alpha = 0 is state j.
        weights: the alphas, each in [0, 1].
        split: the examples, (N, C, H, W).
        dataset: gives the normalisation.
        numerics: precision and memory layout; float32 if not given.

    Returns:
        For each pair, one score for each alpha.
    """
    network.eval()
    numerics = numerics or Numerics()
    wholes = [numerics.lay_all({**s.params, **s.buffers}) for s in states]
    stems, bodies = [part(whole, "stem") for whole in wholes], [part(whole, "body") for whole in wholes]
    # An end is shared by several pairs: it is evaluated once, under its state's own number.
    ends = {(pair, alpha): pair[0] if alpha == 1 else pair[1] for pair in pairs for alpha in weights if alpha in (0, 1)}
    tallies: dict[object, Tally] = {key: Tally() for key in set(ends.values())}
    inner = [(pair, alpha) for pair in pairs for alpha in weights if (pair, alpha) not in ends]
    tallies.update({point: Tally() for point in inner})
    mixtures = algebra.Mixtures(bodies)
    with numerics.autocast(split.y.device):
        for x, y in chunks(split, dataset, numerics):
            hidden = [functional_call(network[0], stem, (x,)) for stem in stems]
            for i in set(ends.values()):
                tallies[i].add(functional_call(network[1], bodies[i], (hidden[i].clone(),)), y)
            for (i, j), alpha in inner:
                mixed = torch.lerp(hidden[j], hidden[i], alpha)
                tallies[(i, j), alpha].add(functional_call(network[1], mixtures.at((i, j), alpha), (mixed,)), y)
    scores = {key: tally.score() for key, tally in tallies.items()}
    return {pair: [scores[ends.get((pair, a), (pair, a))] for a in weights] for pair in pairs}


def _drawn(split: Split) -> UInt8[Tensor, "n c h w"]:
    """Draw the images of statistics at random, as folders list theirs class by class; those in files are decoded here, once.

    They come to the device of the labels, so that no point waits for them.
    """
    chosen = torch.randperm(len(split.y), generator=torch_generator("statistics"))[:STATISTICS_IMAGES].sort().values
    x = split.x[chosen.to(split.x.device)] if isinstance(split.x, Tensor) else split.x[chosen]
    return x.to(split.y.device)


def _statistics(
    network: nn.Sequential, mixture: Tensors, images: Tensor, normalise: Normaliser, numerics: Numerics
) -> dict[str, Tensor]:
    """Recompute BatchNorm statistics: the mean over chunks of each chunk's statistics, weighted by their sizes.

    Chunks have one size on every device, as statistics depend on it.
    """
    norms = [module for module in network.modules() if isinstance(module, NORMS)]
    kept, tensors = [module.momentum for module in norms], {name: tensor.clone() for name, tensor in mixture.items()}
    try:
        network.train()
        for begin in range(0, len(images), STATISTICS_CHUNK):
            x = images[begin : begin + STATISTICS_CHUNK]
            for module in norms:
                module.momentum = len(x) / (begin + len(x))  # the first chunk's replace what is there
            functional_call(network, tensors, (numerics.lay(normalise(x)),))
    finally:
        network.eval()
        for module, momentum in zip(norms, kept, strict=True):
            module.momentum = momentum
    return {name: tensors[name] for name in mixture if name.endswith(_OF_BATCHNORM)}


@fitting
@torch.no_grad()
def recomputed_paths(
    network: nn.Sequential,
    states: Sequence[State],
    pairs: Sequence[Pair],
    weights: Sequence[float],
    split: Split,
    dataset: Dataset,
    numerics: Numerics,
) -> dict[Pair, list[Score]]:
    """Evaluate as `paths` does, but with BatchNorm statistics recomputed at each point, ends included.

    The statistics come from `STATISTICS_IMAGES` training images that are drawn at random, the same for all points, without
    augmentation. This lowers barriers and is always labelled.

    Source: `torch.optim.swa_utils.update_bn`; ambiguity G-9.
    Differs: chunks count by their sizes.
    """
    few, normalise = _drawn(dataset.train), Normaliser(dataset, split.y.device)
    mixtures = algebra.Mixtures([numerics.lay_all({**s.params, **s.buffers}) for s in states])
    points = [(pair, alpha) for pair in pairs for alpha in weights]
    with numerics.autocast(split.y.device):
        own = {point: _statistics(network, mixtures.at(*point), few, normalise, numerics) for point in points}
        tallies = {point: Tally() for point in points}
        for x, y in chunks(split, dataset, numerics):
            for point, tally in tallies.items():
                tally.add(functional_call(network, {**mixtures.at(*point), **own[point]}, (x.clone(),)), y)
    return {pair: [tallies[pair, alpha].score() for alpha in weights] for pair in pairs}


@dataclass(frozen=True)
class Ends:
    """What a path shows of two runs; errors are shares.

    Args:
        mean_end_error: mean of the two ends.
        max_error: the raw maximum over the path.
        instability: `max_error - mean_end_error`. Source: paper B, section 2.
        barrier: highest excess of error over the chord, `max E(alpha) - (alpha E_1 + (1 - alpha) E_2)`, never below 0.
            Source: paper C, definition 2.1.
        loss_barrier: the same of the loss.
        midpoint_error: error at alpha = 1/2. Source: paper C, figure 4.
    """

    mean_end_error: float
    max_error: float
    instability: float
    barrier: float
    loss_barrier: float
    midpoint_error: float


def summarise(weights: Sequence[float], scores: Sequence[Score], num: int) -> Ends:
    """Sum up one path.

    Args:
        weights: the alphas that were evaluated, ascending from 0 to 1, 1/2 among them.
        scores: one an alpha.
        num: number of evenly spaced alphas that count for all but the midpoint.
    """
    middle = next(score.error for alpha, score in zip(weights, scores, strict=True) if alpha == 0.5)
    counted = set(alphas(num))
    points = [(alpha, score) for alpha, score in zip(weights, scores, strict=True) if alpha in counted]
    second, first = points[0][1], points[-1][1]
    mean_end, highest = (first.error + second.error) / 2, max(score.error for _, score in points)
    error = max(score.error - (alpha * first.error + (1 - alpha) * second.error) for alpha, score in points)
    loss = max(score.loss - (alpha * first.loss + (1 - alpha) * second.loss) for alpha, score in points)
    return Ends(mean_end, highest, highest - mean_end, max(error, 0.0), max(loss, 0.0), middle)


def with_midpoint(weights: Sequence[float]) -> list[float]:
    """Add 1/2 to the alphas."""
    return sorted({*weights, 0.5})


def swapped(first: State, second: State, block: str) -> State:
    """Take one block of a state, statistics included, from another."""

    def choose(own: Tensors, other: Tensors) -> dict[str, Tensor]:
        return {name: other[name] if name.startswith(f"{block}.") else tensor for name, tensor in own.items()}

    return State(choose(first.params, second.params), choose(first.buffers, second.buffers), first.step)


def layerwise(
    network: nn.Sequential,
    first: State,
    second: State,
    weights: Sequence[float],
    split: Split,
    dataset: Dataset,
    numerics: Numerics | None = None,
) -> dict[str, list[Score]]:
    """Evaluate the lines from one state to itself with one block of another, for each block by itself.

    Args:
        network: template with a `stem` and a `body`.
        first: what moves; alpha = 0.
        second: where its blocks go.
        weights: the alphas, each in [0, 1].
        split: the examples, (N, C, H, W).
        dataset: gives the normalisation.
        numerics: precision and memory layout; float32 if not given.

    Returns:
        For each block, one score for each alpha.
    """
    names = blocks(network)
    states = [first, *(swapped(first, second, name) for name in names)]
    found = paths(network, states, [(n, 0) for n in range(1, len(states))], weights, split, dataset, numerics)
    return {name: found[n, 0] for n, name in enumerate(names, start=1)}


def distances(first: State, second: State, prunable: Sequence[str]) -> Distances:
    """Compute the L2 distances between two states, `|W_1 - W_2|`; running statistics never count.

    Args:
        first: W_1.
        second: W_2, on the same device.
        prunable: names of the prunable tensors.

    Returns:
        Over all parameters, and over prunable weights alone, in units of the weights.

    Example:
        >>> apart = distances(one, other, prunable(digits.network))
        >>> 0 < apart.weights <= apart.params
        True
    """
    return Distances(
        algebra.distance(first.params, second.params, first.params),
        algebra.distance(first.params, second.params, prunable),
    )
