"""Points of a plane through three networks: our `scores` beside the obvious loop, for LeNet and for ResNet-20."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks import cifar_shaped, mnist_shaped
from benchmarks.measure import Line, compare, interleave
from pipeline_lib.analysis import planes
from pipeline_lib.core.parameters import prunable
from pipeline_lib.core.types import Dataset, State
from pipeline_lib.networks.mlp import mlp
from pipeline_lib.training.batches import Normaliser
from pipeline_lib.training.initialisers.kaiming import kaiming_normal
from pipeline_lib.training.precision import Numerics

BATCH = 2000


@dataclass(frozen=True)
class Case:
    """What is timed: a plane, points on it, and the images of a test split."""

    name: str
    network: nn.Sequential
    dataset: Dataset
    numerics: Numerics
    num_across: int
    repeats: int


def _state(network: nn.Module, seed: int) -> State:
    """Draw a state with biases and statistics as training would leave them: different in each."""
    generator = torch.Generator().manual_seed(seed)
    drawn = kaiming_normal(network, generator)
    params = {n: t if t.dim() > 1 else t + torch.randn(t.shape, generator=generator) / 10 for n, t in drawn.params.items()}
    buffers = {n: t if t.dim() == 0 else t + torch.rand(t.shape, generator=generator) / 2 for n, t in drawn.buffers.items()}
    return State(params, buffers)


@torch.no_grad()
def obvious(
    network: nn.Module, plane: planes.Plane, weights: Sequence[np.ndarray], dataset: Dataset
) -> list[tuple[float, float]]:
    """Mix three state dicts by each point's two triples of weights, load the mixture, evaluate it; its error and loss."""
    network.eval()
    wholes, split, normalise, found = [{**s.params, **s.buffers} for s in plane.corners], dataset.test, Normaliser(dataset), []
    for own, others in zip(*(each.tolist() for each in weights), strict=True):
        mixture = {}
        for name in wholes[0]:
            a, b, c = own if name in plane.prunable else others
            mixture[name] = a * wholes[0][name] + b * wholes[1][name] + c * wholes[2][name]
        network.load_state_dict(mixture)
        wrong, loss = 0, 0.0
        for begin in range(0, len(split.y), BATCH):
            x, y = normalise(split.x[begin : begin + BATCH]), split.y[begin : begin + BATCH]
            logits = network(x)
            wrong += (logits.argmax(1) != y).sum().item()
            loss += F.cross_entropy(logits, y, reduction="sum").item()
        found.append((wrong / len(split.y), loss / len(split.y)))
    return found


def _time(case: Case) -> Line:
    """Time both ways, after checking how far apart they are."""
    states = [_state(case.network, seed) for seed in range(3)]
    plane = planes.through((states[0], states[1], states[2]), prunable(case.network), follow=True)
    points = planes.grid_points(*planes.covering(plane, case.num_across, 0.5))
    weights = plane.mixture(points), plane.others(points)
    found: dict[str, list[tuple[float, float]]] = {}

    def ours() -> None:
        scores = planes.scores(case.network, plane, points, case.dataset.test, case.dataset, case.numerics)
        found["ours"] = [(score.error, score.loss) for score in scores]

    def usual() -> None:
        found["usual"] = obvious(case.network, plane, weights, case.dataset)

    times = interleave({"ours": ours, "usual": usual}, case.repeats)
    both, num = list(zip(found["ours"], found["usual"], strict=True)), len(case.dataset.test.y)
    losses, errors = (max(abs(a[1] - b[1]) / b[1] for a, b in both), max(abs(a[0] - b[0]) for a, b in both))
    note = f"{len(points)} points, losses within {losses:.0e}, errors within {errors * num:.0f} of {num} images"
    return compare(f"planes/{case.name}", times["ours"], times["usual"], note)


def run(full: bool) -> list[Line]:
    """Time both networks."""
    num = 10_000 if full else 2_000
    digits, pictures = mnist_shaped.dataset(1, num), cifar_shaped.dataset(1, num)
    lenet = mlp(mnist_shaped.SHAPE, digits.num_classes, mnist_shaped.WIDTHS)
    cases = [
        Case("lenet", lenet, digits, Numerics(), 31 if full else 9, 5),
        Case("resnet20", cifar_shaped.network(), pictures, Numerics("fp32", channels_last=True), 3 if full else 2, 3),
    ]
    return [_time(case) for case in cases]
