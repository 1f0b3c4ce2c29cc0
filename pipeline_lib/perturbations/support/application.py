"""Perturbed starts: apply what a config names, and measure how far it went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline_lib.core import registry
from pipeline_lib.core.types import Mask
from pipeline_lib.perturbations.support.context import Around, survivors
from pipeline_lib.pruning.masks import check_fit

ALL = "all"  # stands for the layers pooled


@dataclass(frozen=True)
class Size:
    """How far a perturbation moved the surviving weights of one layer, or of all.

    Args:
        layer: name of the prunable tensor, or `ALL`.
        mean: of the differences, in units of the weights; None without survivors.
        deviation: population standard deviation of the differences; None without survivors.
        num_weights: number of survivors, changed or not.
        norm: Euclidean norm of the differences.
    """

    layer: str
    mean: float | None
    deviation: float | None
    num_weights: int
    norm: float


def _only(around: Around, layer: str) -> Around:
    """Look at the tensors of one layer alone; "" is all of them."""
    names = [name for name in around.mask if f"{name}.".startswith(f"{layer}.") or not layer]
    if not names:
        raise registry.unknown("layer", layer, [name.removesuffix(".weight") for name in around.mask])
    after = None if around.next is None else {name: around.next[name] for name in names}
    return replace(around, mask={name: around.mask[name] for name in names}, next=after)


def _supplied(name: str, around: Around) -> dict[str, Mask]:
    """Give a perturbation the next level's mask if it takes one."""
    if "next_mask" not in registry.lookup("perturbations", name, "start").required:
        return {}
    if around.next is None:
        raise ValueError(f"start {name} must have the next level's mask, got none; use it at levels below the last")
    return {"next_mask": around.next}


def perturb(
    weights: Mapping[str, np.ndarray], around: Around, steps: Sequence[Mapping[str, Any]], rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Apply perturbations in turn.

    Args:
        weights: tensors of a masked start; those outside the mask are kept as they are.
        around: what the perturbations may look at; the same for all of them.
        steps: bound entries, `{"name": ..., option: ...}` with every option; with `layer`, only tensors whose names begin so
            change, as if the mask kept nothing else.
        rng: one generator for all steps, so that a draw depends on the steps before it.

    Returns:
        Perturbed tensors, in the order of `weights`.

    Raises:
        ValueError: the mask does not fit the weights, an option of a step has no such value, no tensor is of its layer, or it
            takes the next level's mask and there is none.

    Source: paper A, section 5; which tensors are touched is ambiguity A-X5.
    """
    check_fit(around.mask, weights)
    perturbed = {name: weights[name] for name in around.mask}
    for step in steps:
        own = _only(around, step.get("layer", ""))
        call = {option: value for option, value in step.items() if option != "layer"}
        part = {name: perturbed[name] for name in own.mask}
        more = _supplied(step["name"], own)
        perturbed |= registry.call("perturbations", call, weights=part, around=own, rng=rng, **more)
    return {**weights, **perturbed}


def _size(layer: str, difference: np.ndarray) -> Size:
    if difference.size == 0:
        return Size(layer, None, None, 0, 0.0)
    norm = float(np.linalg.norm(difference))
    return Size(layer, float(difference.mean()), float(difference.std()), difference.size, norm)


def sizes(before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray], mask: Mask) -> list[Size]:
    """Measure `after - before` over the surviving weights, in float64.

    Args:
        before: prunable tensors of the start.
        after: the same, perturbed.
        mask: which entries count.

    Returns:
        All layers pooled, then each layer in the mask's order.

    Source: paper A, section 5, the "effective standard deviation"; the pooling is ambiguity A-X6.
    """
    differences = {name: np.subtract(after[name], before[name], dtype=np.float64) for name in mask}
    return [_size(ALL, survivors(differences, mask)), *(_size(name, differences[name][keep]) for name, keep in mask.items())]
