"""Random numbers of whole epochs, drawn on the host and used on a device."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor


class EpochDraws:
    """What is drawn for one epoch after the other, the last of them on the device.

    On a GPU a thread draws the next epoch's into pinned memory while the device works on this one's, so that nothing waits at its
    beginning. The thread ends when this is no longer used, or with the process.

    Args:
        draw: epoch -> its numbers, on the CPU. It knows nothing of this object, which is dropped as soon as nobody holds it.
        device: where they are used.
    """

    def __init__(self, draw: Callable[[int], Tensor], device: torch.device) -> None:
        self._draw, self._device, self._epoch = draw, device, -1
        self._pool = ThreadPoolExecutor(1) if device.type == "cuda" else None
        self._coming: dict[int, Future[Tensor]] = {}

    def at(self, epoch: int) -> Tensor:
        """Give an epoch's numbers."""
        if epoch != self._epoch:
            coming = self._coming.pop(epoch, None)
            drawn = coming.result() if coming else self._draw(epoch)
            self._now, self._epoch = drawn.to(self._device, non_blocking=True), epoch
            if self._pool:
                self._coming = {epoch + 1: self._pool.submit(_pinned, self._draw, epoch + 1)}
        return self._now


def _pinned(draw: Callable[[int], Tensor], epoch: int) -> Tensor:
    return draw(epoch).pin_memory()
