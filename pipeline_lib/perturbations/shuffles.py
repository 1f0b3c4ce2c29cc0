"""Weights permuted among the survivors of a structural part of the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np

from pipeline_lib.core.types import Mask
from pipeline_lib.perturbations.support.context import Around, scatter, survivors

# Number of the group of each (output, input) slice of a tensor, of a shape that broadcasts to (outputs, inputs).
_GROUPS: dict[str, Callable[[int, int], np.ndarray]] = {
    "layer": lambda outputs, inputs: np.zeros((1, 1), dtype=np.int64),
    "kernel": lambda outputs, inputs: np.arange(outputs * inputs).reshape(outputs, inputs),
    "incoming": lambda outputs, inputs: np.arange(outputs)[:, None],
    "outgoing": lambda outputs, inputs: np.arange(inputs)[None],
}


def _groups(mask: Mask, scope: str) -> np.ndarray:
    """Number the group of each survivor, (num_survivors,)."""
    pieces, first = [], 0
    for keep in mask.values():
        outputs, inputs, *kernel = keep.shape
        numbers = _GROUPS["layer" if scope == "global" else scope](outputs, inputs)
        numbers = np.broadcast_to(numbers.reshape(*numbers.shape, *(1 for _ in kernel)), keep.shape)
        pieces.append(first + numbers[keep])
        first += 0 if scope == "global" else outputs * inputs
    return np.concatenate(pieces)


def _permuted(values: np.ndarray, groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Permute values uniformly inside each group: members in random order go to the group's places in order."""
    order = rng.permutation(len(values))
    result = np.empty_like(values)
    result[np.argsort(groups, kind="stable")] = values[order[np.argsort(groups[order], kind="stable")]]
    return result


def shuffle(
    weights: Mapping[str, np.ndarray],
    around: Around,
    rng: np.random.Generator,
    scope: Literal["global", "layer", "kernel", "incoming", "outgoing"] = "layer",
    signs: Literal["any", "same_sign", "initial_signs"] = "any",
) -> dict[str, np.ndarray]:
    """Permute the survivors uniformly inside each part of the network.

    Args:
        weights: prunable tensors of the masked start, (outputs, inputs, ...).
        around: the mask, and W_0 for its signs.
        rng: where the permutations come from.
        scope: which survivors may change places: "global" all, "layer" those of a tensor, "kernel" those of one
            (output, input) slice (so that linear layers and 1x1 convolutions stay as they are), "incoming" those of an
            output unit or whole filter, "outgoing" those of an input unit.
        signs: "any" moves weights with their signs, "same_sign" lets positive and negative ones change places only among
            themselves, "initial_signs" moves magnitudes, which take the sign that W_0 has where they arrive. A zero
            counts as positive.

    Returns:
        Perturbed tensors; each part keeps its values, or with "initial_signs" its magnitudes.

    Source: paper A, section 5.2, figures 5 and 6. Its "within filters" is read as "kernel" (ambiguity A-X7), which alone
    gives a perturbation as small as reported; "incoming" is the other reading. The signs are ambiguity A-X13.
    """
    values, groups = survivors(weights, around.mask), _groups(around.mask, scope)
    if signs == "same_sign":
        groups = 2 * groups + np.signbit(values)
    values = _permuted(values, groups, rng)
    if signs == "initial_signs":
        values = np.copysign(values, survivors(around.initial, around.mask))
    return scatter(values, weights, around.mask)
