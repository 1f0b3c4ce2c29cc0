"""What is given by hand, and what is said of it where it cannot be meant."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from pipeline_lib.analysis.mixtures import Loss
from pipeline_lib.core import registry
from pipeline_lib.core.types import State


def batch(found: Any) -> tuple[Tensor, Tensor]:
    """Refuse what is no pair of tensors for the same examples, and inputs of which a network makes numbers that mean nothing."""
    if not (isinstance(found, (tuple, list)) and len(found) == 2 and all(isinstance(part, Tensor) for part in found)):
        rule = "batch must be two tensors (inputs, targets)"
        raise ValueError(f"{rule}, got {type(found).__name__}; make tensors of arrays by torch.from_numpy")
    x, y = found
    if len(x) != len(y):
        raise ValueError(f"inputs must have a target each, got {len(x)} inputs and {len(y)} targets; leave the rest out")
    if x.is_floating_point() and not bool(x.isfinite().all()):
        raise ValueError("inputs must be finite, got NaN or infinity; leave these examples out, or fill in what they lack")
    return x, y


def of_classes(loss: Loss) -> Loss:
    """Say of targets that are no numbers of a network's outputs what they must be."""

    @wraps(loss)
    def checked(outputs: Tensor, y: Tensor) -> Tensor:
        try:
            return loss(outputs, y)
        except IndexError as error:
            rule = f"targets must be numbers of the network's {outputs.shape[-1]} outputs"
            raise ValueError(f"{rule}, got: {error} Count classes from 0, or give the network more outputs") from None

    return checked


def names(network: nn.Module, asked: Iterable[str]) -> list[str]:
    """List parameters by name.

    Raises:
        ValueError: the network has none of that name.
    """
    there = dict(network.named_parameters())
    for name in (found := list(asked)):
        if name not in there:
            raise registry.unknown("name of a parameter", name, list(there))
    return found


def _neither(first: Any, *_: Any, **__: Any) -> Any:
    rule = "first argument must be a world, which load makes, or a torch module with its weights"
    raise ValueError(f"{rule}, got {type(first).__name__}; checkpoint reads a module's weights from a file")


def answer(question: Any, own: Callable[..., Any]) -> None:
    """Let a function that takes a world take modules, too, and say of what one gives it by mistake that it is neither."""
    question.register(nn.Module, own)
    for kind in (str, Path, Mapping, State, Tensor):
        question.register(kind, _neither)


def check_grid(num: int, margin: float) -> None:
    """Check a plane's grid.

    Raises:
        ValueError: it does not reach from the first network to the others.
    """
    if num < 2:
        raise ValueError(f"num must be at least 2, got {num}; the grid needs both ends")
    if not margin >= 0:
        raise ValueError(f"margin must be at least 0, got {margin}; the networks lie within the grid")


def check_optimiser(make: object) -> None:
    """Check that something makes an optimiser.

    Raises:
        ValueError: it is one already.
    """
    if not callable(make):
        rule = "optimiser must make one from parameters, such as partial(torch.optim.SGD, lr=0.1)"
        raise ValueError(f"{rule}, got {type(make).__name__}; give what makes it, as a copy of the network is trained")
