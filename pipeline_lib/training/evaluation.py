"""Error and loss of a state on a data split."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from pipeline_lib.core.rng import torch_generator
from pipeline_lib.core.types import Dataset, Split, State, Tensors
from pipeline_lib.training.batches import Normaliser
from pipeline_lib.training.precision import Numerics
from pipeline_lib.training.room import fitting, sized

# Bytes of images evaluated at a time: on a CPU what its caches hold, on a GPU what keeps it busy. One rule everywhere, so that
# equal states get equal bits.
_CHUNK_BYTES = {"cpu": 400_000, "cuda": 12_000_000}
_MOST = 4000


@dataclass(frozen=True)
class Score:
    """What a network comes to on a split.

    Args:
        error: share of wrong predictions, in [0, 1].
        loss: mean cross-entropy, in nats.
    """

    error: float
    loss: float


class Tally:
    """Sums of wrong predictions and losses over chunks of a split, kept on the device until they are asked for."""

    def __init__(self) -> None:
        self._wrong: Tensor | float = 0.0
        self._loss: Tensor | float = 0.0
        self._seen = 0

    def add(self, logits: Tensor, y: Tensor) -> None:
        """Count one chunk: `logits` (n, classes) against `y` (n,)."""
        self._wrong = self._wrong + (logits.argmax(1) != y).sum()
        self._loss = self._loss + F.cross_entropy(logits.float(), y, reduction="sum").double()
        self._seen += len(y)

    def score(self) -> Score:
        """Return the means so far."""
        return Score(float(self._wrong) / self._seen, float(self._loss) / self._seen)


def part(tensors: Tensors, prefix: str) -> dict[str, Tensor]:
    """Take the tensors of the network's `stem` or `body`, with the names that part knows them by."""
    return {name[len(prefix) + 1 :]: tensor for name, tensor in tensors.items() if name.startswith(f"{prefix}.")}


def subset(split: Split, num: int, draw: str) -> Split:
    """Keep `num` images of a split, or all if there are fewer, drawn at random by a named draw and in their order.

    Args:
        split: the examples, (N, C, H, W).
        num: how many to keep.
        draw: what for; equal names and numbers draw the same images, whatever else differs.
    """
    chosen = torch.randperm(len(split.y), generator=torch_generator(draw, num))[:num].sort().values.to(split.y.device)
    return Split(split.x[chosen], split.y[chosen])


def chunk_size(split: Split) -> int:
    """Count the examples to evaluate at a time, by their size and the device of the split's labels."""
    size = math.prod(split.x.shape[1:])
    return sized(max(16, min(_MOST, _CHUNK_BYTES[split.y.device.type] // size)))


def chunks(split: Split, dataset: Dataset, numerics: Numerics) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield normalised images and labels of a split, in order, a chunk at a time, on the device of its labels."""
    size, device = chunk_size(split), split.y.device
    normalise = Normaliser(dataset, device)
    for begin in range(0, len(split.y), size):
        x = split.x[begin : begin + size].to(device, non_blocking=True)
        yield numerics.lay(normalise(x)), split.y[begin : begin + size]


@fitting
@torch.no_grad()
def evaluate(network: nn.Sequential, state: State, split: Split, dataset: Dataset, numerics: Numerics | None = None) -> Score:
    """Compute a state's error and loss in eval mode, without augmentation.

    Args:
        network: template with a `stem` and a `body`.
        state: what to evaluate, on the device of the split's labels.
        split: the examples, (N, C, H, W).
        dataset: gives the normalisation.
        numerics: precision and memory layout; float32 if not given.
    """
    network.eval()
    numerics = numerics or Numerics()
    tensors = numerics.lay_all({**state.params, **state.buffers})
    stem, body = part(tensors, "stem"), part(tensors, "body")
    tally = Tally()
    with numerics.autocast(split.y.device):
        for x, y in chunks(split, dataset, numerics):
            hidden = functional_call(network[0], stem, (x,))
            tally.add(functional_call(network[1], body, (hidden,)), y)
    return tally.score()
