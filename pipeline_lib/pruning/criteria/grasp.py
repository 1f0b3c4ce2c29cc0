"""Pruning that preserves the flow of gradients."""

from __future__ import annotations

import numpy as np

from pipeline_lib.pruning.selection import Arrays


def grasp(weights: Arrays, hessian_gradient: Arrays) -> dict[str, np.ndarray]:
    """Keep the weights whose removal would reduce the gradient's norm most: `w (H g)`.

    At first order, removing a weight changes `|g|^2` by `-2 w (H g)`. The paper's score is `S(-w) = -w (H g)`, of which it
    removes the highest, so that what would reduce the norm, S below 0, stays; ours is `-S`, of which the lowest go. Signs count.

    Source: Wang, Zhang and Grosse, Picking winning tickets before training by preserving gradient flow, 2020, section 4, on
    W_0. Differs: the loss has no temperature.
    """
    return {name: weights[name] * product for name, product in hessian_gradient.items()}
