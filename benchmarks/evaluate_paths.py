"""Straight lines between ResNet-20s: our `paths`, in channels-last order, beside the obvious loop; on the GPU if there is one."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks import cifar_shaped
from benchmarks.measure import Line, Work, compare, cpu_seconds, interleave
from pipeline_lib.analysis import paths
from pipeline_lib.core import algebra
from pipeline_lib.core.types import Dataset, State
from pipeline_lib.store import device
from pipeline_lib.training.batches import Normaliser
from pipeline_lib.training.initialisers.kaiming import kaiming_normal
from pipeline_lib.training.precision import Numerics

ORDERS = 3
Batches = Iterable[tuple[Tensor, Tensor]]


def _state(seed: int) -> State:
    """Draw a state, with statistics as training would leave them: different in each."""
    generator = torch.Generator().manual_seed(seed)
    drawn = kaiming_normal(cifar_shaped.network(), generator)
    buffers = dict(drawn.buffers)
    for name, tensor in buffers.items():
        if name.endswith("running_mean"):
            buffers[name] = torch.randn(tensor.shape, generator=generator) / 10
        elif name.endswith("running_var"):
            buffers[name] = torch.rand(tensor.shape, generator=generator) + 0.5
    return State(drawn.params, buffers)


def in_memory(dataset: Dataset) -> Batches:
    """Give the test split in normalised batches where it lies: on a GPU, reading pictures would be all that is timed."""
    x = Normaliser(dataset, dataset.test.y.device)(dataset.test.x[:])
    return list(zip(x.split(cifar_shaped.BATCH), dataset.test.y.split(cifar_shaped.BATCH), strict=True))


@torch.no_grad()
def _evaluate(network: nn.Module, loader: Batches) -> tuple[float, float]:
    wrong, loss, seen = 0, 0.0, 0
    for x, y in loader:
        logits = network(x)
        wrong += (logits.argmax(1) != y).sum().item()
        loss += F.cross_entropy(logits, y, reduction="sum").item()
        seen += len(y)
    return wrong / seen, loss / seen


def _obvious(
    states: Sequence[State], pairs: Sequence[paths.Pair], weights: Sequence[float], loader: Batches, place: torch.device
) -> list[tuple[float, float]]:
    """Mix two state dicts, load the mixture, evaluate it; error and loss of every point of every pair."""
    network, scores = cifar_shaped.network().to(place).eval(), []
    whole = [{**state.params, **state.buffers} for state in states]
    for i, j in pairs:
        for alpha in weights:
            network.load_state_dict({name: alpha * whole[i][name] + (1 - alpha) * whole[j][name] for name in whole[i]})
            scores.append(_evaluate(network, loader))
    return scores


def _gpu_seconds(work: Work) -> float:
    """Measure the wall-clock seconds of a call until the device is done."""
    torch.cuda.synchronize()
    begun = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - begun


def run(full: bool) -> list[Line]:
    """Time both, after checking how far apart they are."""
    num_images, num_alphas, num_pairs = (10_000, 30, 9) if full else (1_000, 7, 2)
    numerics = Numerics("fp32", channels_last=True)
    place = device.pick(numerics)
    pairs = [(ORDERS * s + i, ORDERS * s + j) for s in range(3) for i, j in itertools.combinations(range(ORDERS), 2)][:num_pairs]
    states = [algebra.moved(_state(seed), place) for seed in range(max(map(max, pairs)) + 1)]
    weights, network = paths.alphas(num_alphas), cifar_shaped.network()
    dataset = cifar_shaped.dataset(1, num_images, place)
    loader = in_memory(dataset) if place.type == "cuda" else cifar_shaped.loader(dataset.test, training=False)
    found: dict[str, list[tuple[float, float]]] = {}

    def ours() -> None:
        scores = paths.paths(network, states, pairs, weights, dataset.test, dataset, numerics)
        found["ours"] = [(score.error, score.loss) for pair in pairs for score in scores[pair]]

    def usual() -> None:
        found["usual"] = _obvious(states, pairs, weights, loader, place)

    times = interleave({"ours": ours, "usual": usual}, 3, _gpu_seconds if place.type == "cuda" else cpu_seconds)
    both = list(zip(found["ours"], found["usual"], strict=True))
    losses, errors = (max(abs(a[1] - b[1]) / b[1] for a, b in both), max(abs(a[0] - b[0]) for a, b in both))
    where = f", wall-clock on {torch.cuda.get_device_name(place)}" if place.type == "cuda" else ""
    note = f"losses within {losses:.0e}, errors within {errors * num_images:.0f} of {num_images} images{where}"
    return [compare("evaluate_paths", times["ours"], times["usual"], note)]
