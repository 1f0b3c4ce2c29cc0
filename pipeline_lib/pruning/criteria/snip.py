"""Pruning by what a weight's removal does to the loss, at first order and on all examples together."""

from __future__ import annotations

import numpy as np

from pipeline_lib.pruning.selection import Arrays


def snip(weights: Arrays, gradients: Arrays) -> dict[str, np.ndarray]:
    """Keep the weights that the loss is most sensitive to, whether it would rise or fall: `|w g|`.

    `w g` is the derivative of the loss by a factor c in front of the weight, at c = 1.

    Source: Lee, Ajanthan and Torr, SNIP: Single-shot network pruning based on connection sensitivity, 2019, on W_0.
    Differs: not divided by the sum over all weights, which leaves ranks as they are.
    """
    return {name: np.abs(weights[name] * gradient) for name, gradient in gradients.items()}
