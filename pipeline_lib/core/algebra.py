"""Algebra on flat dicts of tensors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline_lib.core.types import Mask, State, Tensors


def _in_memory_order(tensor: Tensor, channels_last: bool) -> Tensor:
    return tensor.permute(0, 2, 3, 1) if channels_last else tensor


def is_channels_last(tensor: Tensor) -> bool:
    """Tell whether a tensor lies in memory with its channels innermost."""
    return tensor.dim() == 4 and not tensor.is_contiguous() and tensor.is_contiguous(memory_format=torch.channels_last)


def flat(tensors: Iterable[Tensor], channels_last: Iterable[bool]) -> list[Tensor]:
    """Flatten tensors in the memory order that is asked for, one after the other."""
    return [_in_memory_order(t, last).reshape(-1) for t, last in zip(tensors, channels_last, strict=True)]


def to_vector(tensors: Tensors) -> Float[Tensor, " num_params"]:
    """Concatenate all tensors, in the order of the dict and each in its own memory order, to one new vector."""
    values = [tensor.detach() for tensor in tensors.values()]
    return torch.cat(flat(values, map(is_channels_last, values)))


def views(vector: Float[Tensor, " num_params"], like: Tensors) -> dict[str, Tensor]:
    """Cut a vector into tensors with the names, shapes and memory orders of `like`; they share its memory."""
    cut: dict[str, Tensor] = {}
    for (name, tensor), piece in zip(like.items(), vector.split([t.numel() for t in like.values()]), strict=True):
        last = is_channels_last(tensor)
        shaped = piece.view(_in_memory_order(tensor, last).shape)
        cut[name] = shaped.permute(0, 3, 1, 2) if last else shaped
    return cut


def lerp(start: Tensors, end: Tensors, weight: float) -> dict[str, Tensor]:
    """Mix two dicts: `(1 - weight) * start + weight * end`, exact at both ends.

    Integer tensors (BatchNorm's batch counter) are taken from `start`: they play no part in evaluation.
    """
    return {
        name: torch.lerp(tensor, end[name], weight) if tensor.is_floating_point() else tensor for name, tensor in start.items()
    }


class Mixtures:
    """Networks as one vector each, and room for a mixture of two, whose tensors stay where they are.

    Args:
        networks: tensors of each, with equal names, shapes and memory layouts.
    """

    def __init__(self, networks: Sequence[Tensors]) -> None:
        floats = [name for name, tensor in networks[0].items() if tensor.is_floating_point()]
        self._vectors = [to_vector({name: network[name] for name in floats}) for network in networks]
        self._mixed = torch.empty_like(self._vectors[0])
        # Integer tensors, BatchNorm's batch counters, play no part in evaluation.
        self._tensors = {**networks[0], **views(self._mixed, {name: networks[0][name] for name in floats})}

    def at(self, pair: tuple[int, int], alpha: float) -> dict[str, Tensor]:
        """Mix `alpha W_i + (1 - alpha) W_j`; the tensors hold until the next mixture."""
        torch.lerp(self._vectors[pair[1]], self._vectors[pair[0]], alpha, out=self._mixed)
        return self._tensors


def distance(first: Tensors, second: Tensors, names: Iterable[str]) -> float:
    """Compute the Euclidean distance over the named tensors, accumulated in float64."""
    squares = [(first[name].double() - second[name].double()).square().sum() for name in names]
    return float(torch.stack(squares).sum().sqrt())


def stack(members: Sequence[State]) -> State:
    """Stack a cohort's states along a new leading member axis. All must be at the same step."""
    steps = {member.step for member in members}
    if len(steps) != 1:
        raise ValueError(f"members must be at one step, got {sorted(steps)}; stack states of one stage only")

    def join(trees: Sequence[Tensors]) -> dict[str, Tensor]:
        return {name: torch.stack([tree[name].detach() for tree in trees]) for name in trees[0]}

    return State(join([m.params for m in members]), join([m.buffers for m in members]), steps.pop())


def unstack(cohort: State) -> list[State]:
    """Split a cohort into its members: the inverse of `stack`."""
    num_members = len(next(iter(cohort.params.values())))
    return [
        State(
            {name: tensor[i] for name, tensor in cohort.params.items()},
            {name: tensor[i] for name, tensor in cohort.buffers.items()},
            cohort.step,
        )
        for i in range(num_members)
    ]


def masked(state: State, mask: Mask) -> State:
    """Set the pruned entries of a state's parameters to zero; tensors that the mask does not name stay: `m * w`.

    Args:
        state: of a network.
        mask: kept entries by tensor.

    Returns:
        The masked state, at its step: of a trained network its projection, of an early one the start of a sparse run.

    Example:
        >>> projected = masked(one, mask)
        >>> sum(int((projected.params[name] != 0).sum()) for name in mask) == num_kept(mask)
        True
    """
    kept = {name: torch.from_numpy(keep).to(state.params[name].device) for name, keep in mask.items()}
    params = {name: torch.where(kept[name], tensor, 0) if name in kept else tensor for name, tensor in state.params.items()}
    return State(params, state.buffers, state.step, state.slots)


def moved(state: State, device: torch.device) -> State:
    """Put a state on a device."""

    def to(tensors: Tensors) -> dict[str, Tensor]:
        return {name: tensor.to(device) for name, tensor in tensors.items()}

    return State(to(state.params), to(state.buffers), state.step, to(state.slots))
