"""Counter-based seeds: every random draw is named, and depends on its name alone."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch


def derive(*name: str | int) -> int:
    """Derive a 63-bit seed from a draw's name.

    Args:
        name: what the draw is for, most general part first, for example `("order", seed, order, epoch)`.

    Returns:
        An integer in [0, 2**63), the same on every machine and in every process.
    """
    text = "/".join(f"{type(part).__name__}:{part}" for part in name)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def torch_generator(*name: str | int) -> torch.Generator:
    """Make the CPU generator of a named draw."""
    import torch

    return torch.Generator().manual_seed(derive(*name))


def numpy_generator(*name: str | int) -> np.random.Generator:
    """Make the numpy generator of a named draw, for stages that do without torch."""
    import numpy as np

    return np.random.Generator(np.random.PCG64(derive(*name)))
