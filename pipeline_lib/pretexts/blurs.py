"""Pretexts that take detail out of images."""

from __future__ import annotations

from typing import Annotated

import torch.nn.functional as F
from torch import Tensor

from pipeline_lib.core.values import In
from pipeline_lib.pretexts.support.lessons import Lesson


def blur(factor: Annotated[int, In("[2, 1000]")] = 4, antialias: bool = False) -> Lesson:
    """Resize training images down and up again by a factor, with bilinear interpolation; labels are kept.

    It works on the normalised images of a batch, cropped and mirrored: interpolation weights sum to one, so that blurring and
    normalising may change places.

    Args:
        factor: of height and width, 2 or more; both must be divisible by it: the first batch raises ValueError otherwise.
        antialias: whether each pixel of the small image averages over all that it covers (a triangle of `2 * factor` pixels a
            side, as PIL does) or interpolates between the pixels around its centre alone (two a side for an even factor).

    Source: paper A, section 6.3, after Achille et al., 2019; ambiguity A-X22.
    Differs: open_lth resizes with PIL, which is `antialias=True` but for rounding to bytes.
    """

    def change(x: Tensor, y: Tensor, drawn: Tensor) -> tuple[Tensor, Tensor]:
        height, width = x.shape[2:]
        if height % factor or width % factor:
            raise ValueError(f"height and width must be divisible by the blur's factor {factor}, got {height}x{width}; change it")
        small = F.interpolate(x, (height // factor, width // factor), mode="bilinear", align_corners=False, antialias=antialias)
        return F.interpolate(small, (height, width), mode="bilinear", align_corners=False), y

    return Lesson(change=change)
