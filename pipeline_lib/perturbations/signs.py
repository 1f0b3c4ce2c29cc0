"""Signs of the weights at one point of training, magnitudes of another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from pipeline_lib.perturbations.support.context import Around


def mix(
    weights: Mapping[str, np.ndarray],
    around: Around,
    rng: np.random.Generator,
    signs: Literal["k", "initial", "fresh"] = "k",
    magnitudes: Literal["k", "initial", "fresh"] = "k",
) -> dict[str, np.ndarray]:
    """Combine the signs of one state with the magnitudes of another: `sign(a) * |b|` on survivors.

    A zero counts as positive, so that no magnitude is lost.

    Args:
        weights: prunable tensors of the masked start.
        around: the mask, W_0 and a separate initialisation.
        rng: not used; the fresh draw is the caller's.
        signs: "k" for the weights given, "initial" for W_0, "fresh" for the separate initialisation.
        magnitudes: the same choice.

    Returns:
        Perturbed tensors.

    Source: paper A, section 5.1 and figure 4; ambiguities A-X9 and A-X11.
    """
    states: dict[str, Mapping[str, np.ndarray]] = {"k": weights, "initial": around.initial, "fresh": around.fresh}
    result: dict[str, np.ndarray] = {}
    for name, keep in around.mask.items():
        result[name] = np.zeros_like(weights[name])
        result[name][keep] = np.copysign(states[magnitudes][name][keep], states[signs][name][keep])
    return result
