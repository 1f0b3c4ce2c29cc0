"""Error and loss along the straight line between trained states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.func import functional_call

from pipeline_lib import tree
from pipeline_lib.evaluate import Score, Tally, chunks, part
from pipeline_lib.precision import Numerics
from pipeline_lib.types import Dataset, Split, State

Pair = tuple[int, int]


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
    with numerics.autocast(split.y.device):
        for x, y in chunks(split, dataset, numerics):
            hidden = [functional_call(network[0], stem, (x,)) for stem in stems]
            for i in set(ends.values()):
                tallies[i].add(functional_call(network[1], bodies[i], (hidden[i].clone(),)), y)
            for (i, j), alpha in inner:
                body = tree.lerp(bodies[j], bodies[i], alpha)
                mixed = torch.lerp(hidden[j], hidden[i], alpha)
                tallies[(i, j), alpha].add(functional_call(network[1], body, (mixed,)), y)
    scores = {key: tally.score() for key, tally in tallies.items()}
    return {pair: [scores[ends.get((pair, a), (pair, a))] for a in weights] for pair in pairs}


def distances(first: State, second: State, prunable: Sequence[str]) -> Distances:
    """Compute the L2 distances between two states; running statistics never count."""
    return Distances(
        tree.distance(first.params, second.params, first.params),
        tree.distance(first.params, second.params, prunable),
    )
