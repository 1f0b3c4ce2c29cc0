"""Random images in the shape of CIFAR-10, ResNet-20 for them, and the usual way to read them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from pipeline_lib.core.torchvision_import import torchvision_datasets
from pipeline_lib.core.types import Dataset, Split
from pipeline_lib.networks.resnet import resnet_cifar

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
SHAPE = (3, 32, 32)
BATCH = 128
PAD = 4


def _split(num: int, generator: torch.Generator, device: torch.device | None) -> Split:
    x = torch.randint(0, 256, (num, *SHAPE), dtype=torch.uint8, generator=generator)
    return Split(x.to(device), torch.randint(0, 10, (num,), generator=generator).to(device))


def dataset(num_train: int, num_test: int, device: torch.device | None = None) -> Dataset:
    """Draw a data set of CIFAR-10's shape and constants; on the CPU unless told otherwise."""
    generator = torch.Generator().manual_seed(0)
    return Dataset(_split(num_train, generator, device), _split(num_test, generator, device), 10, MEAN, STD)


def network() -> nn.Sequential:
    """Build ResNet-20."""
    return resnet_cifar(SHAPE, 10)


class Pictures(torch.utils.data.Dataset[tuple[Tensor, int]]):
    """A split on the CPU as torchvision's CIFAR10 would give it: one PIL image at a time, through a transform."""

    def __init__(self, split: Split, transform: Callable[[Any], Tensor]) -> None:
        self._data, self._targets, self._transform = (
            split.x[:].permute(0, 2, 3, 1).contiguous().numpy(),
            split.y.tolist(),
            transform,
        )

    def __len__(self) -> int:
        return len(self._targets)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        from PIL import Image

        return self._transform(Image.fromarray(self._data[index])), self._targets[index]


def loader(split: Split, training: bool) -> torch.utils.data.DataLoader[Any]:
    """Read a split the usual way, without workers; with crops, mirroring and a shuffle for training."""
    torchvision_datasets()  # so that the next import works beside a CPU-only torch
    from torchvision import transforms

    augment = [transforms.RandomCrop(SHAPE[1], PAD), transforms.RandomHorizontalFlip()] if training else []
    convert = transforms.Compose([*augment, transforms.ToTensor(), transforms.Normalize(MEAN, STD)])
    data = Pictures(split, convert)
    return torch.utils.data.DataLoader(data, batch_size=BATCH, shuffle=training, drop_last=training, num_workers=0)
