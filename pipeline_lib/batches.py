"""Mini-batches as a function of (order, step): no loader, no state that training could lose."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from pipeline_lib.rng import torch_generator
from pipeline_lib.types import Dataset, Split

Order = tuple[int, int]
Batches = Callable[[int], tuple[Tensor, Tensor]]


def normalise(x: UInt8[Tensor, "n c h w"], dataset: Dataset) -> Float[Tensor, "n c h w"]:
    """Map bytes to `(x / 255 - mean) / std` in float32."""
    scale = torch.tensor([1 / (255 * std) for std in dataset.std]).view(1, -1, 1, 1)
    shift = torch.tensor([-mean / std for mean, std in zip(dataset.mean, dataset.std, strict=True)]).view(1, -1, 1, 1)
    return x.to(torch.float32).mul_(scale).add_(shift)


def steps_per_epoch(num_examples: int, batch_size: int) -> int:
    """Count the whole batches of an epoch; the last partial one is dropped."""
    if not 1 <= batch_size <= num_examples:
        raise ValueError(f"batch_size must be in [1, {num_examples}], got {batch_size}; the training set has that many images")
    return num_examples // batch_size


def indices(order: Order, num_examples: int, batch_size: int) -> Callable[[int], Tensor]:
    """Return the function from a step to that batch's example indices.

    Args:
        order: (seed, order) of the replicate; two orders of one seed are independent streams.
        num_examples: size of the training set.
        batch_size: examples a batch.

    Returns:
        A function of the step; an epoch's permutation is drawn from (order, epoch) and kept until the next epoch.
    """
    per_epoch = steps_per_epoch(num_examples, batch_size)
    kept: dict[int, Tensor] = {}

    def at(step: int) -> Tensor:
        epoch, position = divmod(step, per_epoch)
        if epoch not in kept:
            kept.clear()
            kept[epoch] = torch.randperm(num_examples, generator=torch_generator("order", *order, "epoch", epoch))
        return kept[epoch][position * batch_size : (position + 1) * batch_size]

    return at


def shift_crop(x: UInt8[Tensor, "n c h w"], pad: int, generator: torch.Generator) -> UInt8[Tensor, "n c h w"]:
    """Pad every image with `pad` zero pixels on each side and crop it back at a random place."""
    num, _, height, width = x.shape
    padded = torch.nn.functional.pad(x, (pad, pad, pad, pad))
    top, left = torch.randint(0, 2 * pad + 1, (2, num), generator=generator)
    rows = (top[:, None] + torch.arange(height)).view(num, 1, height, 1)
    columns = (left[:, None] + torch.arange(width)).view(num, 1, 1, width)
    return padded[torch.arange(num).view(num, 1, 1, 1), torch.arange(x.shape[1]).view(1, -1, 1, 1), rows, columns]


def batches(dataset: Dataset, order: Order, batch_size: int, pad: int = 0) -> Batches:
    """Return the function from a step to that step's normalised inputs and labels.

    Args:
        dataset: its training split is drawn from.
        order: (seed, order) of the replicate; batch t depends on it and t alone.
        batch_size: examples a batch.
        pad: pixels of zero padding for random crops; 0 for no augmentation.
    """
    split: Split = dataset.train
    chosen_at = indices(order, len(split.y), batch_size)

    def at(step: int) -> tuple[Tensor, Tensor]:
        chosen = chosen_at(step)
        x = split.x[chosen]
        if pad:
            x = shift_crop(x, pad, torch_generator("augment", *order, "step", step))
        return normalise(x, dataset), split.y[chosen]

    return at
