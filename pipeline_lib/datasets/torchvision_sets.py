"""MNIST and FashionMNIST through torchvision."""

from __future__ import annotations

from pathlib import Path

from pipeline_lib.torchvision_import import torchvision_datasets
from pipeline_lib.types import Dataset, Split


def _default_root() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("rewind-datasets"))


def _missing(name: str, root: Path, why: str) -> ValueError:
    return ValueError(
        f"data set {name} must be under {root} or downloadable, got: {why}; either connect to the network once, or set data_root "
        f"in the config (or PIPELINE_DATA_ROOT) to a folder that holds {name}/raw"
    )


def _load(name: str, data_root: Path | None, mean: float, std: float) -> Dataset:
    root = data_root or _default_root()
    maker = getattr(torchvision_datasets(), name)
    try:
        if data_root is None:
            root.mkdir(parents=True, exist_ok=True)
        train, test = (maker(str(root), train=part, download=data_root is None) for part in (True, False))
    except (RuntimeError, OSError) as error:
        raise _missing(name, root, str(error).splitlines()[0]) from error
    splits = [Split(part.data.unsqueeze(1).contiguous(), part.targets.long()) for part in (train, test)]
    return Dataset(splits[0], splits[1], 10, (mean,), (std,))


def mnist(data_root: Path | None) -> Dataset:
    """Load MNIST: 60,000 training and 10,000 test images of 28x28 pixels."""
    return _load("MNIST", data_root, 0.1307, 0.3081)


def fashionmnist(data_root: Path | None) -> Dataset:
    """Load FashionMNIST: as MNIST, ten kinds of clothing."""
    return _load("FashionMNIST", data_root, 0.2860, 0.3530)
