"""Adam, and with weight decay apart from the gradient."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from pipeline_lib.core.values import In, NotNegative, Positive, ShareBelowOne


def adam(
    vector: Tensor,
    lr: Positive,
    beta1: ShareBelowOne = 0.9,
    beta2: ShareBelowOne = 0.999,
    eps: Annotated[float, In("[1e-30, 1]")] = 1e-8,
) -> torch.optim.Optimizer:
    """Make Adam. Source: Kingma & Ba, 2015."""
    return torch.optim.Adam([vector], lr=lr, betas=(beta1, beta2), eps=eps, fused=True)


def adamw(
    vector: Tensor,
    lr: Positive,
    beta1: ShareBelowOne = 0.9,
    beta2: ShareBelowOne = 0.999,
    eps: Annotated[float, In("[1e-30, 1]")] = 1e-8,
    weight_decay: NotNegative = 0.01,
) -> torch.optim.Optimizer:
    """Make AdamW, whose weight decay acts on all parameters. Source: Loshchilov & Hutter, 2019."""
    return torch.optim.AdamW([vector], lr=lr, betas=(beta1, beta2), eps=eps, weight_decay=weight_decay, fused=True)
