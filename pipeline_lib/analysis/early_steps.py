"""What a state looks like beside the one that training began with."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from pipeline_lib.core.types import Tensors

# What `Portrait.weights` and `gradient_size` give, in this order, as columns of the telemetry table.
WEIGHTS = ("mean_magnitude", "signs_changed", "l2_initial", "cosine_initial")
GRADIENT = ("gradient_norm", "gradient_mean")


def logged_steps(until: int) -> list[int]:
    """List the steps to look at: each to 50, every tenth to 1,000, every fiftieth from there. Source: paper A, figure 3."""
    return sorted({*range(min(50, until) + 1), *range(0, min(1000, until) + 1, 10), *range(0, until + 1, 50), until})


def evaluated_steps(until: int, every: int) -> list[int]:
    """List the steps at which to evaluate: some early ones, where most happens, and regular ones."""
    return sorted(
        {step for step in (0, 10, 25, 50, 100, 200, 390, 400, 500) if step <= until} | {*range(0, until + 1, every), until}
    )


def flattened(params: Tensors, names: Sequence[str]) -> Float[Tensor, " num_weights"]:
    """Concatenate the named tensors, each in its plain order."""
    return torch.cat([params[name].detach().reshape(-1) for name in names])


def cosine(first: Float[Tensor, " n"], second: Float[Tensor, " n"]) -> Float[Tensor, ""]:
    """Compute `a·b / (|a| |b|)` in float64; NaN where one of them is zero."""
    first, second = first.double(), second.double()
    return first @ second / (first.norm() * second.norm())


class Portrait:
    """Describes the weights of one run at any step; all results stay on the device.

    Args:
        initial: parameters at step 0.
        names: the prunable ones.
        followed: numbers of single weights to follow, into their concatenation.
    """

    def __init__(self, initial: Tensors, names: Sequence[str], followed: Int64[Tensor, " num_followed"]) -> None:
        self._names, self._initial = list(names), flattened(initial, names)
        self._followed = followed.to(self._initial.device)

    def weights(self, params: Tensors) -> Float[Tensor, " values"]:
        """Give the values of `WEIGHTS`, then those of the followed weights, as float64.

        Source: paper A, figure 3; weights are the prunable ones (A-X16), signs are compared with step 0 (A-X17).
        """
        now = flattened(params, self._names)
        changed = ((now < 0) != (self._initial < 0)).double().mean()
        distance = (now.double() - self._initial.double()).norm()
        own = torch.stack([now.double().abs().mean(), changed, distance, cosine(now, self._initial)])
        return torch.cat([own, now[self._followed].double()])


def gradient_size(gradient: Float[Tensor, " num_params"]) -> Float[Tensor, " 2"]:
    """Give the values of `GRADIENT`: the L2 norm, and the mean absolute entry (A-X15)."""
    whole = gradient.double()
    return torch.stack([whole.norm(), whole.abs().mean()])
