"""One instability job, three pairs of runs at 30 points each: our `paths` beside the obvious loop."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks import mnist_shaped
from benchmarks.measure import Line, compare
from benchmarks.measure import interleave as take_turns
from pipeline_lib.analysis import paths
from pipeline_lib.core.types import Dataset, Split, State
from pipeline_lib.networks.mlp import mlp
from pipeline_lib.training.batches import Normaliser
from pipeline_lib.training.initialisers.kaiming import kaiming_normal

BATCH = 1000
PAIRS = list(itertools.combinations(range(3), 2))


@torch.no_grad()
def obvious(
    network: nn.Module, states: Sequence[State], weights: Sequence[float], split: Split, dataset: Dataset
) -> list[tuple[float, float]]:
    """Mix two state dicts, load the mixture, evaluate it; error and loss of every point of every pair."""
    network.eval()
    inputs, scores = Normaliser(dataset)(split.x[:]), []
    for i, j in PAIRS:
        for alpha in weights:
            first, second = states[i].params, states[j].params
            network.load_state_dict({name: alpha * first[name] + (1 - alpha) * second[name] for name in first})
            wrong, loss = 0, 0.0
            for x, y in zip(inputs.split(BATCH), split.y.split(BATCH), strict=True):
                logits = network(x)
                wrong += (logits.argmax(1) != y).sum().item()
                loss += F.cross_entropy(logits, y, reduction="sum").item()
            scores.append((wrong / len(split.y), loss / len(split.y)))
    return scores


def run(full: bool) -> list[Line]:
    """Time both, after checking that they say the same."""
    dataset = mnist_shaped.dataset(*((60_000, 10_000) if full else (6_000, 1_000)))
    network = mlp(mnist_shaped.SHAPE, dataset.num_classes, mnist_shaped.WIDTHS)
    states = [kaiming_normal(network, torch.Generator().manual_seed(seed)) for seed in range(3)]
    weights, splits = paths.alphas(30), (dataset.train, dataset.test)
    theirs = obvious(network, states, weights, dataset.test, dataset)
    ours = paths.paths(network, states, PAIRS, weights, dataset.test, dataset)
    apart = [abs(a.loss - b[1]) / b[1] for a, b in zip(itertools.chain.from_iterable(ours.values()), theirs, strict=True)]
    ways = {
        "ours": lambda: [paths.paths(network, states, PAIRS, weights, split, dataset) for split in splits],
        "usual": lambda: [obvious(network, states, weights, split, dataset) for split in splits],
    }
    times = take_turns(ways, 3 if full else 5)
    return [compare("interpolate", times["ours"], times["usual"], f"losses within {max(apart):.0e}")]
