"""MNIST, FashionMNIST, CIFAR-10 and CIFAR-100 through torchvision.

CIFAR's files are pickles; torchvision opens them only if their checksums are right.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline_lib.rng import torch_generator
from pipeline_lib.torchvision_import import torchvision_datasets
from pipeline_lib.types import Dataset, Split

EXAMPLES = {
    "mnist": ((1, 28, 28), 10), "fashionmnist": ((1, 28, 28), 10), "cifar10": ((3, 32, 32), 10), "cifar100": ((3, 32, 32), 100),
}  # fmt: skip


def _default_root() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("rewind-datasets"))


def _missing(name: str, root: Path, holds: str, why: str) -> ValueError:
    return ValueError(
        f"data set {name} must be under {root} or downloadable, got: {why}; either connect to the network once, or set data_root "
        f"in the config (or PIPELINE_DATA_ROOT) to a folder that holds {holds}"
    )


def _load(name: str, data_root: Path | None, holds: str) -> tuple[Any, Any]:
    root = data_root or _default_root()
    maker = getattr(torchvision_datasets(), name)
    try:
        if data_root is None:
            root.mkdir(parents=True, exist_ok=True)
        train, test = (maker(str(root), train=part, download=data_root is None) for part in (True, False))
    except (RuntimeError, OSError, AssertionError, ValueError) as error:
        why = (str(error) or "a damaged file").splitlines()[0]
        raise _missing(name, root, holds, why) from error
    return train, test


def _grey(part: Any) -> Split:
    return Split(part.data.unsqueeze(1).contiguous(), part.targets.long())


def _colour(part: Any) -> Split:
    import torch

    return Split(torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous(), torch.tensor(part.targets))


def _some(name: str, split: Split, num_train: int) -> Split:
    import torch

    whole = len(split.y)
    if not 1 <= num_train <= whole:
        raise ValueError(f"num_train must be in [1, {whole}], got {num_train}; {name} has that many training images")
    if num_train == whole:
        return split
    chosen = torch.randperm(whole, generator=torch_generator("subset", name))[:num_train]
    return Split(split.x[chosen], split.y[chosen])


def mnist(data_root: Path | None, num_train: int = 60_000) -> Dataset:
    """Load MNIST: 60,000 training and 10,000 test images of 28x28 pixels, or a fixed random part of the training images."""
    train, test = _load("MNIST", data_root, "MNIST/raw")
    return Dataset(_some("MNIST", _grey(train), num_train), _grey(test), 10, (0.1307,), (0.3081,))


def fashionmnist(data_root: Path | None, num_train: int = 60_000) -> Dataset:
    """Load FashionMNIST: as MNIST, ten kinds of clothing."""
    train, test = _load("FashionMNIST", data_root, "FashionMNIST/raw")
    return Dataset(_some("FashionMNIST", _grey(train), num_train), _grey(test), 10, (0.2860,), (0.3530,))


def cifar10(data_root: Path | None, num_train: int = 50_000) -> Dataset:
    """Load CIFAR-10: 50,000 training and 10,000 test colour images of 32x32 pixels, or a fixed random part of the first."""
    train, test = _load("CIFAR10", data_root, "cifar-10-batches-py")
    mean, std = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
    return Dataset(_some("CIFAR10", _colour(train), num_train), _colour(test), 10, mean, std)


def cifar100(data_root: Path | None, num_train: int = 50_000) -> Dataset:
    """Load CIFAR-100: as CIFAR-10, a hundred classes."""
    train, test = _load("CIFAR100", data_root, "cifar-100-python")
    mean, std = (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)
    return Dataset(_some("CIFAR100", _colour(train), num_train), _colour(test), 100, mean, std)
