"""Error and loss of a state on a data split."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from pipeline_lib.batches import normalise
from pipeline_lib.types import Dataset, Split, State, Tensors

CHUNK = 2000  # examples evaluated at a time; one constant, so that equal states get equal bits everywhere


@dataclass(frozen=True)
class Score:
    """`error`: share of wrong predictions in [0, 1]; `loss`: mean cross-entropy in nats."""

    error: float
    loss: float


class Tally:
    """Running sums of wrong predictions and losses over chunks of a split."""

    def __init__(self) -> None:
        self._wrong, self._loss, self._seen = 0, 0.0, 0

    def add(self, logits: Tensor, y: Tensor) -> None:
        """Count one chunk: `logits` (n, classes) against `y` (n,)."""
        self._wrong += int((logits.argmax(1) != y).sum())
        self._loss += float(F.cross_entropy(logits, y, reduction="sum"))
        self._seen += len(y)

    def score(self) -> Score:
        """Return the means so far."""
        return Score(self._wrong / self._seen, self._loss / self._seen)


def part(tensors: Tensors, prefix: str) -> dict[str, Tensor]:
    """Take the tensors of the network's `stem` or `body`, with the names that part knows them by."""
    return {name[len(prefix) + 1 :]: tensor for name, tensor in tensors.items() if name.startswith(f"{prefix}.")}


@torch.no_grad()
def evaluate(network: nn.Sequential, state: State, split: Split, dataset: Dataset) -> Score:
    """Compute a state's error and loss in eval mode, without augmentation.

    Args:
        network: template with a `stem` and a `body`.
        state: what to evaluate.
        split: the examples, (N, C, H, W).
        dataset: gives the normalisation.
    """
    network.eval()
    tensors = {**state.params, **state.buffers}
    stem, body = part(tensors, "stem"), part(tensors, "body")
    tally = Tally()
    for x, y in zip(split.x.split(CHUNK), split.y.split(CHUNK), strict=True):
        hidden = functional_call(network[0], stem, (normalise(x, dataset),))
        tally.add(functional_call(network[1], body, (hidden,)), y)
    return tally.score()
