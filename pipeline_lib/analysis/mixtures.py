"""Error and loss of any network at mixtures of states, by any loss.

`paths` and `planes` do the same for tasks, whose networks have a stem that saves work; they are tested against each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.func import functional_call

from pipeline_lib.core.types import State, Tensors
from pipeline_lib.training.evaluation import Score

Loss = Callable[[Tensor, Tensor], Tensor]
Batches = Callable[[], Iterable[tuple[Tensor, Tensor]]]


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Put a module into eval mode for a block, and each part of it back into its own mode after."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def _wrong(outputs: Tensor, y: Tensor) -> float:
    """Give the share of wrong predictions of a batch; NaN where targets are no class numbers of outputs (n, classes, ...)."""
    if y.is_floating_point() or outputs.dim() < 2 or outputs[:, 0].shape != y.shape:
        return float("nan")
    return float((outputs.argmax(1) != y).double().mean())


@torch.no_grad()
def scores(network: nn.Module, points: Sequence[Callable[[], Tensors]], batches: Batches, loss: Loss) -> list[Score]:
    """Evaluate a network at several points in weight space, in eval mode; the data go by once.

    Args:
        network: template; its mode and weights stay as they are.
        points: make the tensors of a point, by name.
        batches: yields (inputs, targets) at each call.
        loss: of outputs and targets, the mean over a batch.

    Returns:
        One score a point: the mean loss over all examples, and the share of wrong predictions, NaN where nothing is predicted.

    Raises:
        ValueError: there are no examples.
    """
    sums, num = [[0.0, 0.0] for _ in points], 0
    with evaluating(network):
        for x, y in batches():
            num += len(y)
            for total, point in zip(sums, points, strict=True):
                outputs = functional_call(network, dict(point()), (x,))
                total[0] += len(y) * _wrong(outputs, y)
                total[1] += len(y) * float(loss(outputs, y))
    if not num:
        raise ValueError("data must have examples, got none; the loss is their mean")
    return [Score(wrong / num, total / num) for wrong, total in sums]


def mixed(states: Sequence[State], weights: Sequence[float], others: Sequence[float], names: Iterable[str]) -> dict[str, Tensor]:
    """Mix states: `sum_i weights_i W_i` in the named tensors, `sum_i others_i W_i` in all others.

    A weight of 1 gives that state's tensors themselves. Integer tensors are the last state's: they play no part in evaluation.

    Args:
        states: with equal names.
        weights: one a state, which sum to 1.
        others: the same for tensors that are not named, BatchNorm's statistics among them.
        names: of tensors.
    """
    wholes: list[Mapping[str, Tensor]] = [{**state.params, **state.buffers} for state in states]
    named = set(names)

    def mix(name: str) -> Tensor:
        shares = [float(each) for each in (weights if name in named else others)]
        if 1.0 in shares and sum(map(abs, shares)) == 1:
            return wholes[shares.index(1.0)][name]
        tensors = [whole[name] for whole in wholes]
        if not tensors[0].is_floating_point():
            return tensors[-1]
        first, *rest = (share * tensor for share, tensor in zip(shares, tensors, strict=True))
        return sum(rest, start=first)

    return {name: mix(name) for name in wholes[0]}
