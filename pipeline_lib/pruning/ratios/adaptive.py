"""As much as the training loss allows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np

from pipeline_lib.core.values import In


@dataclass(frozen=True)
class Tried:
    """One ratio that was tried.

    Args:
        fraction: share of the survivors to prune, in (0, 1).
        highest_loss: highest training loss between the solution and its projection, nats.
        threshold: loss that it may not exceed, nats.
        chosen: whether this is the ratio to prune by.
    """

    fraction: float
    highest_loss: float
    threshold: float
    chosen: bool


def _allowance(batches: np.ndarray, examples: np.ndarray, threshold: str) -> float:
    if threshold == "batch":
        return float(batches.std())
    return 2 * float(examples.std(ddof=1)) / len(examples) ** 0.5


def adaptive(
    dense_batches: np.ndarray,
    dense_examples: np.ndarray,
    highest_loss: Callable[[float], float],
    floor: float,
    examples: Annotated[int, In("[2, 1000000000]")] = 10000,
    threshold: Literal["batch", "sample"] = "batch",
) -> list[Tried]:
    """Prune by the largest of 0.1, 0.2, ..., 0.9 that keeps the training loss near the dense network's, or by `floor` if more.

    The loss may be at most the dense network's mean over `dense_examples` plus an allowance. Ratios are tried from 0.1 upward,
    to the first that goes beyond it; then the floor, if it is the choice and was not among them.

    Args:
        dense_batches: (num_batches,), mini-batch losses of the dense network over the last epoch of its training.
        dense_examples: (num_examples,), losses of the trained dense network on single training images.
        highest_loss: from a ratio to the highest mean loss on the same images between the solution and its projection.
        floor: least ratio, in (0, 1).
        examples: how many training images the caller takes the losses on, or all if there are fewer; at least 2.
        threshold: the allowance. "batch": the standard deviation of `dense_batches`; "sample": two standard errors of the mean
            of `dense_examples`, which fall as more images are looked at, as the noise of mini-batches does not.

    Returns:
        Each ratio tried, ascending; exactly one is chosen.

    Source: paper C, appendix F; ambiguity C-X11. "sample" is not in the paper.
    """
    limit = float(dense_examples.mean()) + _allowance(dense_batches, dense_examples, threshold)
    losses: dict[float, float] = {}
    for tenths in range(1, 10):
        losses[tenths / 10] = highest_loss(tenths / 10)
        if not losses[tenths / 10] <= limit:  # so that a NaN ends it too
            break
    chosen = max([floor, *(fraction for fraction, loss in losses.items() if loss <= limit)])
    if chosen not in losses:
        losses[chosen] = highest_loss(chosen)
    return [Tried(fraction, losses[fraction], limit, fraction == chosen) for fraction in sorted(losses)]
