"""Adam."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from pipeline_lib.core.values import In, Positive, ShareBelowOne


def adam(
    vector: Tensor,
    lr: Positive,
    beta1: ShareBelowOne = 0.9,
    beta2: ShareBelowOne = 0.999,
    eps: Annotated[float, In("[1e-30, 1]")] = 1e-8,
) -> torch.optim.Optimizer:
    """Make Adam. Source: Kingma & Ba, 2015."""
    return torch.optim.Adam([vector], lr=lr, betas=(beta1, beta2), eps=eps, fused=True)
