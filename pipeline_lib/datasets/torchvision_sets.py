"""MNIST, FashionMNIST, CIFAR-10 and CIFAR-100, in the folders and with the checksums that torchvision has for them.

torchvision itself neither downloads nor reads them: it would go from https to http, and open pickles as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pipeline_lib.core.rng import torch_generator
from pipeline_lib.core.torchvision_import import torchvision_datasets
from pipeline_lib.core.types import Dataset, Split
from pipeline_lib.core.values import In
from pipeline_lib.datasets import _archives

if TYPE_CHECKING:
    import torch

EXAMPLES = {
    "mnist": ((1, 28, 28), 10), "mnist_scaled": ((1, 28, 28), 10), "fashionmnist": ((1, 28, 28), 10),
    "cifar10": ((3, 32, 32), 10), "cifar100": ((3, 32, 32), 100),
}  # fmt: skip
# Where MNIST's and FashionMNIST's files are over https; torchvision has only an http address for the second.
_SOURCES = {
    "MNIST": "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "FashionMNIST": "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
}


def _default_root() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("rewind-datasets"))


def _missing(name: str, root: Path, holds: str, why: str, download: bool) -> ValueError:
    if not download:
        remedy = f"put {holds} there, or set data_root in the config (or PIPELINE_DATA_ROOT) to the folder that holds it"
        return ValueError(f"data set {name} must be under {root}, which data_root names, got: {why}; {remedy}")
    return ValueError(
        f"data set {name} must be under {root} or downloadable, got: {why}; either connect to the network once, or set data_root "
        f"in the config (or PIPELINE_DATA_ROOT) to a folder that holds {holds}"
    )


def _grey(name: str, root: Path, download: bool) -> tuple[Split, Split]:
    """Read MNIST's or FashionMNIST's four files."""
    import torch

    maker, splits = getattr(torchvision_datasets(), name), []
    for file, md5 in maker.resources if download else ():
        _archives.fetch_gzip(_SOURCES[name] + file, md5, root / name / "raw" / file.removesuffix(".gz"))
    for part in ("train", "t10k"):
        folder = root / name / "raw"
        x, y = (_archives.read_idx(folder / f"{part}-{file}-ubyte", n) for file, n in (("images-idx3", 3), ("labels-idx1", 1)))
        if len(x) != len(y) or y.max(initial=0) > 9:
            raise ValueError(f"{name} must have a label below 10 an image, got {len(x)} images and {len(y)} labels; replace it")
        splits.append(Split(torch.from_numpy(x).unsqueeze(1), torch.from_numpy(y).long()))
    return splits[0], splits[1]


def _colour(name: str, root: Path, download: bool) -> tuple[Split, Split]:
    """Read CIFAR's files, each of whose checksums is known."""
    import numpy as np
    import torch

    maker, splits = getattr(torchvision_datasets(), name), []
    if download:
        names = [f"{maker.base_folder}/{file}" for file, _ in (*maker.train_list, *maker.test_list)]
        _archives.fetch_tar(maker.url, maker.tgz_md5, root, names)
    for listed in (maker.train_list, maker.test_list):
        batches = [_archives.read_batch(root / maker.base_folder / file, md5) for file, md5 in listed]
        x = torch.from_numpy(np.concatenate([batch["data"] for batch in batches])).reshape(-1, 3, 32, 32)
        labels = [label for batch in batches for label in batch["labels" if "labels" in batch else "fine_labels"]]
        splits.append(Split(x, torch.tensor(labels)))
    return splits[0], splits[1]


_Reader = Callable[[str, Path, bool], tuple[Split, Split]]


def _load(name: str, data_root: Path | None, holds: str, read: _Reader) -> tuple[Split, Split]:
    root = data_root or _default_root()
    try:
        return read(name, root, data_root is None)
    except (RuntimeError, OSError, ValueError) as error:
        why = (str(error) or "a damaged file").splitlines()[0]
        raise _missing(name, root, holds, why, data_root is None) from error


def _some(name: str, split: Split, num_train: int) -> Split:
    import torch

    whole = len(split.y)
    if not 1 <= num_train <= whole:
        raise ValueError(f"num_train must be in [1, {whole}], got {num_train}; {name} has that many training images")
    if num_train == whole:
        return split
    chosen = torch.randperm(whole, generator=torch_generator("subset", name))[:num_train]
    return Split(split.x[chosen], split.y[chosen])


def mnist(data_root: Path | None, num_train: Annotated[int, In("[1, 60000]")] = 60_000) -> Dataset:
    """Load MNIST: 60,000 training and 10,000 test images of 28x28 pixels, or a fixed random part of the training images."""
    train, test = _load("MNIST", data_root, "MNIST/raw", _grey)
    return Dataset(_some("MNIST", train, num_train), test, 10, (0.1307,), (0.3081,))


def mnist_scaled(
    data_root: Path | None,
    num_train: Annotated[int, In("[1, 60000]")] = 60_000,
    scale: Literal["unit_norm", "unit_range"] = "unit_norm",
) -> Dataset:
    """Load MNIST without centring: images of one L2 norm, as the authors of paper B publish them, or with pixels in [0, 1].

    Args:
        data_root: as for `mnist`.
        num_train: how many of the training images to use.
        scale: "unit_norm" or "unit_range".

    Source: paper B's authors' public code for LeNet (unit_norm).
    Differs: pixels are rounded to as many of 256 steps as fit the whole set, which leaves norms within a thousandth of 1.
    """
    train, test = _load("MNIST", data_root, "MNIST/raw", _grey)
    if scale == "unit_range":
        return Dataset(_some("MNIST", train, num_train), test, 10, (0.0,), (1.0,))
    norm = min(_largest_norm(split.x) for split in (train, test))
    train, test = (Split(_of_norm(split.x, norm), split.y) for split in (train, test))
    return Dataset(_some("MNIST", train, num_train), test, 10, (0.0,), (norm / 255,))


def _norms(x: Any) -> torch.Tensor:
    found: torch.Tensor = x.double().flatten(1).norm(dim=1).clamp(min=1)
    return found


def _largest_norm(x: Any) -> float:
    """Give the largest norm to which all images can be stretched before a pixel is above 255."""
    return float((255 * _norms(x) / x.flatten(1).amax(1).clamp(min=1)).min())


def _of_norm(x: Any, norm: float) -> torch.Tensor:
    import torch

    stretched: torch.Tensor = x * (norm / _norms(x)).view(-1, 1, 1, 1)
    return stretched.round().to(torch.uint8)


def fashionmnist(data_root: Path | None, num_train: Annotated[int, In("[1, 60000]")] = 60_000) -> Dataset:
    """Load FashionMNIST: as MNIST, ten kinds of clothing."""
    train, test = _load("FashionMNIST", data_root, "FashionMNIST/raw", _grey)
    return Dataset(_some("FashionMNIST", train, num_train), test, 10, (0.2860,), (0.3530,))


def cifar10(data_root: Path | None, num_train: Annotated[int, In("[1, 50000]")] = 50_000) -> Dataset:
    """Load CIFAR-10: 50,000 training and 10,000 test colour images of 32x32 pixels, or a fixed random part of the first."""
    train, test = _load("CIFAR10", data_root, "cifar-10-batches-py", _colour)
    mean, std = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
    return Dataset(_some("CIFAR10", train, num_train), test, 10, mean, std)


def cifar100(data_root: Path | None, num_train: Annotated[int, In("[1, 50000]")] = 50_000) -> Dataset:
    """Load CIFAR-100: as CIFAR-10, a hundred classes."""
    train, test = _load("CIFAR100", data_root, "cifar-100-python", _colour)
    mean, std = (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)
    return Dataset(_some("CIFAR100", train, num_train), test, 100, mean, std)
