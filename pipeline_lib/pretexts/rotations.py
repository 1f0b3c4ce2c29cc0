"""Pretexts that ask by how much an image was turned."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from pipeline_lib.core.rng import torch_generator
from pipeline_lib.core.types import Dataset
from pipeline_lib.pretexts.support.lessons import Lesson

_TURNS = 4


def _turn(x: Float[Tensor, "n c h w"], n: Int64[Tensor, " n"]) -> Float[Tensor, "n c h w"]:
    """Rotate image i by 90 n[i] degrees, as `torch.rot90` does."""
    height, width = x.shape[2:]
    if height != width:
        raise ValueError(f"height and width must be equal for quarter turns, got {height}x{width}; use square images")
    n = n.view(-1, 1, 1, 1)
    # Two choices of two, by the bits of n, so that every shape is known beforehand.
    x = torch.where(n % 2 == 1, x.rot90(1, (2, 3)), x)
    return torch.where(n >= 2, x.rot90(2, (2, 3)), x)


def rotation(fixed: bool = False) -> Lesson:
    """Rotate every training image by 90 n degrees and teach n in {0, 1, 2, 3} as its label; the true labels are not used.

    Images are cropped and mirrored before they are rotated, and must be square: the first batch raises ValueError otherwise.

    Args:
        fixed: whether an image keeps one rotation for each seed, as in open_lth; otherwise it is drawn anew at every visit.

    Source: paper A, section 6.2, after Gidaris et al., 2018; drawn anew (ambiguity A-X21).
    """

    def labels(dataset: Dataset, seed: int) -> Tensor:
        y = dataset.train.y
        return torch.randint(_TURNS, (len(y),), generator=torch_generator("rotations", seed)).to(y.device)

    def by_label(x: Tensor, y: Tensor, drawn: Tensor) -> tuple[Tensor, Tensor]:
        return _turn(x, y), y

    def anew(x: Tensor, y: Tensor, drawn: Tensor) -> tuple[Tensor, Tensor]:
        return _turn(x, drawn), drawn

    if fixed:
        return Lesson(num_classes=_TURNS, labels=labels, change=by_label)
    return Lesson(num_classes=_TURNS, choices=_TURNS, change=anew)
