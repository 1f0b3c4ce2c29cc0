"""Images that stay in files and are decoded when they are asked for."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from pipeline_lib.core import processors
from pipeline_lib.core.torchvision_import import torchvision_functional

if TYPE_CHECKING:
    from PIL.Image import Image

Kind = TypeVar("Kind")

_ATTEMPTS = 10  # boxes tried before a central one, as torchvision does
_CHUNK = 1000  # images that are handed to threads at a time: a million tasks at once would fill the memory


def _rgb(image: Image) -> Image:
    """Convert an image of any kind to RGB: 16-bit greys are scaled, which PIL would clip to white; transparency is dropped."""
    from PIL.Image import fromarray

    if image.mode.startswith("I"):  # I;16 and its byte orders; older versions of PIL read 16 bits as I
        levels = np.asarray(image).astype(np.int64).clip(0, 65535)
        image = fromarray(((levels + 128) // 257).astype(np.uint8))
    elif image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert("RGB")


def _read(path: Path, take: Callable[[Image], Kind]) -> tuple[Kind | None, str]:
    """Open one image and take something of it; what is wrong with the file, if anything is."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return take(image), ""
    except Exception as error:  # over damaged bytes a decoder may raise anything
        return None, " ".join(str(error).split()) or type(error).__name__


def _decode(path: Path) -> UInt8[Tensor, "3 h w"]:
    """Decode one image to RGB bytes.

    Raises:
        ValueError: the file is missing, empty, or no whole image.
    """
    image, fault = _read(path, lambda image: torchvision_functional().pil_to_tensor(_rgb(image)))
    if image is None:
        raise ValueError(f"image {path} must be readable, got: {fault}; mend it or prepare the data set again")
    return image


def _look(image: Image) -> None:
    """Read all of an image, as small as its format allows: a JPEG at an eighth of its size costs less than half of the time."""
    image.draft("RGB", (1, 1))
    _rgb(image)


def crop_box(height: int, width: int, draws: Float[Tensor, "attempts 4"], min_scale: float) -> tuple[int, int, int, int]:
    """Choose a random box of 3/4 to 4/3 aspect over `min_scale` to 1 of the area.

    Args:
        height: of the image, pixels.
        width: of the image, pixels.
        draws: uniform on [0, 1): area, aspect, top and left of each attempt.
        min_scale: smallest share of the area.

    Returns:
        Top, left, height and width of the first box that fits, else of a central one.

    Source: Szegedy et al., 2015; torchvision's `RandomResizedCrop`.
    """
    low, high = math.log(3 / 4), math.log(4 / 3)
    for area, aspect, top, left in draws.tolist():
        target, ratio = height * width * (min_scale + (1 - min_scale) * area), math.exp(low + (high - low) * aspect)
        box_width, box_height = round(math.sqrt(target * ratio)), round(math.sqrt(target / ratio))
        if 0 < box_width <= width and 0 < box_height <= height:
            return int(top * (height - box_height + 1)), int(left * (width - box_width + 1)), box_height, box_width
    box_height, box_width = min(height, round(width / (3 / 4))), min(width, round(height * (4 / 3)))
    return (height - box_height) // 2, (width - box_width) // 2, box_height, box_width


@dataclass(frozen=True)
class Jpegs:
    """Image files, resized when read.

    Args:
        root: folder that the paths are relative to.
        paths: one a file.
        size: height and width of what is returned, pixels.
        resize: shorter side before the central crop that evaluation takes, pixels.
        min_scale: smallest share of an image's area in a random crop.
    """

    root: Path
    paths: tuple[str, ...]
    size: int
    resize: int
    min_scale: float = 0.08

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, 3, size, size)."""
        return len(self.paths), 3, self.size, self.size

    def _map(self, numbers: Sequence[int], make: Callable[[int, Tensor], Tensor]) -> Tensor:
        def one(place: int) -> Tensor:
            return make(place, _decode(self.root / self.paths[numbers[place]]))

        with ThreadPoolExecutor(processors.usable()) as pool:
            return torch.stack(list(pool.map(one, range(len(numbers)))))

    def looks(self) -> Iterator[tuple[str, bytes]]:
        """Read every image once, as many at a time as there are processors.

        Yields:
            For each image in turn what is wrong with it, and the SHA-256 of its file; one of the two is empty.
        """

        def one(path: str) -> tuple[str, bytes]:
            fault = _read(self.root / path, _look)[1]
            return fault, b"" if fault else hashlib.sha256((self.root / path).read_bytes()).digest()

        with ThreadPoolExecutor(processors.usable()) as pool:
            for begin in range(0, len(self.paths), _CHUNK):
                yield from pool.map(one, self.paths[begin : begin + _CHUNK])

    def __getitem__(self, which: Any) -> UInt8[Tensor, "n 3 size size"]:
        """Return images as evaluation sees them: resized, and the centre cropped out."""
        functional = torchvision_functional()

        def central(place: int, image: Tensor) -> Tensor:
            return functional.center_crop(functional.resize(image, [self.resize], antialias=True), [self.size, self.size])

        return self._map(torch.arange(len(self.paths))[which].tolist(), central)

    def random_crops(self, which: Tensor, generator: torch.Generator, flip: bool) -> UInt8[Tensor, "n 3 size size"]:
        """Return images as training sees them: a random box of each, resized, mirrored with probability 1/2 if `flip`."""
        functional = torchvision_functional()
        draws = torch.rand((len(which), _ATTEMPTS, 4), generator=generator)
        mirrored = torch.rand(len(which), generator=generator) < (0.5 if flip else 0.0)

        def boxed(place: int, image: Tensor) -> Tensor:
            box = crop_box(image.shape[1], image.shape[2], draws[place], self.min_scale)
            crop = functional.resized_crop(image, *box, [self.size, self.size], antialias=True)
            return functional.horizontal_flip(crop) if mirrored[place] else crop

        return self._map(which.tolist(), boxed)
