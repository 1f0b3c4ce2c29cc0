"""Mini-batches as a function of (order, step): no loader processes, no state that training could lose."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from pipeline_lib.core.jpegs import Jpegs
from pipeline_lib.core.rng import torch_generator
from pipeline_lib.core.types import Dataset, Stream
from pipeline_lib.training.crops import CropAndFlip
from pipeline_lib.training.epoch_draws import EpochDraws

Order = tuple[int, int]
CPU = torch.device("cpu")


class Normaliser:
    """Maps bytes to `(x / 255 - mean) / std` in float32, with its constants on the device."""

    def __init__(self, dataset: Dataset, device: torch.device = CPU) -> None:
        scale = torch.tensor([1 / (255 * std) for std in dataset.std]).view(1, -1, 1, 1)
        shift = torch.tensor([-mean / std for mean, std in zip(dataset.mean, dataset.std, strict=True)]).view(1, -1, 1, 1)
        self._scale, self._shift = scale.to(device), shift.to(device)

    def __call__(self, x: UInt8[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Normalise a batch; its memory layout is kept."""
        return x.to(torch.float32).mul_(self._scale).add_(self._shift)


def steps_per_epoch(num_examples: int, batch_size: int) -> int:
    """Count the whole batches of an epoch; the last partial one is dropped."""
    if not 1 <= batch_size <= num_examples:
        raise ValueError(f"batch_size must be in [1, {num_examples}], got {batch_size}; the training set has that many images")
    return num_examples // batch_size


def epoch_batches(order: Order, epoch: int, num_examples: int, batch_size: int) -> Int64[Tensor, "steps batch"]:
    """Draw the example numbers of each batch of an epoch: a permutation that depends on (order, epoch).

    Args:
        order: (seed, order) of the replicate; two orders of one seed are independent streams.
        epoch: number of the epoch, from 0.
        num_examples: size of the training set.
        batch_size: examples a batch.
    """
    num_steps = steps_per_epoch(num_examples, batch_size)
    permutation = torch.randperm(num_examples, generator=torch_generator("order", *order, "epoch", epoch))
    return permutation[: num_steps * batch_size].view(num_steps, batch_size)


def _draw_epoch(order: Order, num_examples: int, batch_size: int, pad: int, flip: bool, epoch: int) -> Int64[Tensor, "steps 4 b"]:
    """Draw of each example of each batch: its number, top, left, and whether it is mirrored."""
    chosen = epoch_batches(order, epoch, num_examples, batch_size)
    generator = torch_generator("augment", *order, "epoch", epoch)
    shifts = torch.randint(0, 2 * pad + 1, (2, *chosen.shape), generator=generator)
    mirrored = torch.randint(0, 2 if flip else 1, chosen.shape, generator=generator)
    return torch.stack([chosen, shifts[0], shifts[1], mirrored], dim=1)


class _InMemory:
    """Batches out of a data set that lies on the device; augmentation runs there too."""

    def __init__(
        self, dataset: Dataset, order: Order, batch_size: int, pad: int, flip: bool, layout: torch.memory_format
    ) -> None:
        self._x, self._y, self._layout = dataset.train.x, dataset.train.y, layout
        num, device = len(self._y), self._y.device
        self._per_epoch = steps_per_epoch(num, batch_size)
        self._draws = EpochDraws(partial(_draw_epoch, order, num, batch_size, pad, flip), device)
        self._normalise = Normaliser(dataset, device)
        self._crop = CropAndFlip((batch_size, *self._x.shape[1:]), pad, device) if pad or flip else None
        self._choice = torch.zeros((4, batch_size), dtype=torch.int64, device=device)

    def load(self, step: int) -> None:
        epoch, position = divmod(step, self._per_epoch)
        self._choice.copy_(self._draws.at(epoch)[position])

    def draw(self) -> tuple[Tensor, Tensor]:
        chosen, top, left, mirrored = self._choice
        x = self._x[chosen]
        if self._crop:
            x = self._crop(x, top, left, mirrored)
        return self._normalise(x.contiguous(memory_format=self._layout)), self._y[chosen]


class _Streamed:
    """Batches decoded from files on the host, the next one while the device works on this one."""

    def __init__(
        self, dataset: Dataset, files: Jpegs, order: Order, batch_size: int, flip: bool, layout: torch.memory_format
    ) -> None:
        self._files, self._y, self._order, self._batch_size, self._flip = files, dataset.train.y, order, batch_size, flip
        self._per_epoch, self._epochs = steps_per_epoch(len(self._y), batch_size), dict[int, Tensor]()
        self._device, self._layout = self._y.device, layout
        self._normalise = Normaliser(dataset, self._device)
        self._x = torch.zeros((batch_size, *files.shape[1:]), dtype=torch.uint8, device=self._device)
        self._labels = torch.zeros(batch_size, dtype=torch.int64, device=self._device)
        self._pool = ThreadPoolExecutor(1)
        self._coming: dict[int, Future[Tensor]] = {}

    def _chosen(self, step: int) -> Tensor:
        epoch, position = divmod(step, self._per_epoch)
        if epoch not in self._epochs:
            self._epochs = {e: draws for e, draws in self._epochs.items() if e == epoch - 1}
            self._epochs[epoch] = epoch_batches(self._order, epoch, len(self._y), self._batch_size)
        return self._epochs[epoch][position]

    def _decode(self, step: int, chosen: Tensor) -> Tensor:
        x = self._files.random_crops(chosen, torch_generator("augment", *self._order, "step", step), self._flip)
        return x.pin_memory() if self._device.type == "cuda" else x

    def load(self, step: int) -> None:
        chosen, coming = self._chosen(step), self._coming.pop(step, None)
        x = coming.result() if coming else self._decode(step, chosen)
        self._coming = {step + 1: self._pool.submit(self._decode, step + 1, self._chosen(step + 1))}
        self._x.copy_(x, non_blocking=True)
        self._labels.copy_(self._y[chosen.to(self._device)])

    def draw(self) -> tuple[Tensor, Tensor]:
        return self._normalise(self._x.contiguous(memory_format=self._layout)), self._labels


def stream(
    dataset: Dataset, order: Order, batch_size: int, pad: int = 0, flip: bool = False, channels_last: bool = False
) -> Stream:
    """Make the stream of a run's normalised, augmented mini-batches.

    Args:
        dataset: its training split is drawn from, on the device where its labels are.
        order: (seed, order) of the replicate; batch t depends on it and t alone.
        batch_size: examples a batch.
        pad: pixels of zero padding for random crops. Files take random resized crops instead.
        flip: whether to mirror every image with probability 1/2.
        channels_last: memory layout of the inputs.
    """
    layout = torch.channels_last if channels_last else torch.contiguous_format
    files = dataset.train.x
    if isinstance(files, Jpegs):
        if pad:
            raise ValueError(f"pad must be 0 for a data set of files, got {pad}; its images are cropped at random anyway")
        return _Streamed(dataset, files, order, batch_size, flip, layout)
    return _InMemory(dataset, order, batch_size, pad, flip, layout)
