"""Groups along the axes of layers' tensors."""

from __future__ import annotations

Axes = dict[str, tuple[str | None, ...]]


def convolution(name: str, outputs: str | None, inputs: str | None, bias: bool = False) -> Axes:
    """Say which units a convolution leads to, and from which."""
    return {f"{name}.weight": (outputs, inputs, None, None)} | ({f"{name}.bias": (outputs,)} if bias else {})


def linear(name: str, outputs: str | None, inputs: str | None) -> Axes:
    """Say which units a linear layer leads to, and from which."""
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def norm(name: str, units: str) -> Axes:
    """Say which units BatchNorm scales and keeps statistics of."""
    return {f"{name}.{part}": (units,) for part in ("weight", "bias", "running_mean", "running_var")}
