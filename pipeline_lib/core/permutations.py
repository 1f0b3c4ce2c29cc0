"""Permutations of a network's hidden units, which leave its function as it is.

What may be permuted is data: for each tensor the group of units along each of its axes, or None. Units of one group stand in one
order everywhere, so a permutation by group is applied to all its axes at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor, from_numpy, nn

from pipeline_lib.core.parameters import NORMS
from pipeline_lib.core.types import Mask, State, Tensors

Axes = Mapping[str, tuple[str | None, ...]]  # by tensor, the group along each axis
Moves = Mapping[str, np.ndarray]  # by group, (units,): place i is taken by the unit that stood at moves[i]


def sizes(axes: Axes, tensors: Mapping[str, Tensor | np.ndarray]) -> dict[str, int]:
    """Count the units of each group, in the order in which groups are first named.

    Args:
        axes: groups by tensor.
        tensors: parameters and buffers of a network.

    Raises:
        ValueError: the network lacks a tensor, or has another number of axes or units there, or one group lies along two axes.
    """
    found: dict[str, int] = {}
    for name, groups in axes.items():
        shape = tuple(tensors[name].shape) if name in tensors else ()
        named = [group for group in groups if group is not None]
        if len(shape) != len(groups) or len(named) != len(set(named)):
            rule = f"groups of {name!r} must be one an axis of its shape {shape}, and all different"
            raise ValueError(f"{rule}, got {groups}; correct the network's symmetries")
        for group, size in zip(groups, shape, strict=True):
            if group is not None and found.setdefault(group, size) != size:
                rule = f"units of group {group!r} must be as many in {name!r} as elsewhere, {found[group]}"
                raise ValueError(f"{rule}, got {size}; correct the network's symmetries")
    return found


def identity(num: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Leave every unit where it is, of groups of these sizes."""
    return {group: np.arange(size) for group, size in num.items()}


def drawn(num: Mapping[str, int], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw a permutation of each group."""
    return {group: rng.permutation(size) for group, size in num.items()}


def _moved(tensor: Tensor, groups: Sequence[str | None], moves: Moves) -> Tensor:
    for axis, group in enumerate(groups):
        if group is not None and group in moves:
            tensor = tensor.index_select(axis, from_numpy(moves[group]).to(tensor.device))
    return tensor


def permuted(tensors: Tensors, axes: Axes, moves: Moves) -> dict[str, Tensor]:
    """Permute the units of tensors; those without a group stay, as do groups without a permutation."""
    return {name: _moved(tensor, axes.get(name, ()), moves) for name, tensor in tensors.items()}


def permuted_state(state: State, axes: Axes, moves: Moves) -> State:
    """Permute a network's units, BatchNorm's statistics with them; what an optimiser keeps is left behind."""
    return State(permuted(state.params, axes, moves), permuted(state.buffers, axes, moves), state.step)


def permuted_mask(mask: Mask, axes: Axes, moves: Moves) -> dict[str, np.ndarray]:
    """Permute a mask with the weights that it is of."""
    return {name: np.asarray(_moved(from_numpy(keep), axes.get(name, ()), moves)) for name, keep in mask.items()}


def places(network: nn.Module, axes: Axes) -> dict[str, str]:
    """List the modules whose outputs are units of a group, with that group: normalisations, or layers where there are none.

    A layer's output that is normalised shows the same units as the normalisation's.
    """
    found: dict[str, str] = {}
    for kind in (NORMS, (nn.Linear, nn.Conv2d)):
        seen = set(found.values())
        for name, module in network.named_modules():
            group = axes.get(f"{name}.weight", (None,))[0]
            if isinstance(module, kind) and group is not None and group not in seen:
                found[name] = group
    return found
