"""Random crops and mirrorings of a batch of images, by numbers that are drawn elsewhere."""

from __future__ import annotations

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor


class CropAndFlip:
    """Pads every image with zero pixels on each side, crops it back, and mirrors it; all that is the same at every call is kept.

    Args:
        shape: of a batch, (n, C, H, W).
        pad: pixels on each side.
        device: where the images are.
    """

    def __init__(self, shape: tuple[int, ...], pad: int, device: torch.device) -> None:
        num, channels, height, width = shape
        self._row = width + 2 * pad
        self._padded = torch.zeros((num, channels, height + 2 * pad, self._row), dtype=torch.uint8, device=device)
        self._inside = self._padded[:, :, pad : pad + height, pad : pad + width]
        # Where in a padded image the pixels of its first crop are, as it is and mirrored.
        pixels = torch.arange(height, device=device)[:, None] * self._row + torch.arange(width, device=device)
        self._pixels = torch.stack([pixels.flatten(), pixels.flip(1).flatten()])

    def __call__(
        self,
        x: UInt8[Tensor, "n c h w"],
        top: Int64[Tensor, " n"],
        left: Int64[Tensor, " n"],
        mirrored: Int64[Tensor, " n"],
    ) -> UInt8[Tensor, "n c h w"]:
        """Crop each padded image at (top, left), each in [0, 2 pad], and mirror it where `mirrored` is 1."""
        self._inside.copy_(x)
        pixels = self._pixels[mirrored] + torch.add(left, top, alpha=self._row)[:, None]
        num, channels, height, width = x.shape
        found = self._padded.flatten(2).gather(2, pixels[:, None].expand(-1, channels, -1))
        # One channel lies in both layouts at once. Convolutions go by its strides, and are faster where it is the innermost.
        return found.view(num, height, width, 1).permute(0, 3, 1, 2) if channels == 1 else found.view(x.shape)
