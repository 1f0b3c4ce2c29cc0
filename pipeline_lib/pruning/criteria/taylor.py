"""Pruning by what a weight's removal does to the loss, at first order and squared for each mini-batch."""

from __future__ import annotations

import numpy as np

from pipeline_lib.pruning.selection import Arrays


def taylor(weights: Arrays, squared_gradients: Arrays) -> dict[str, np.ndarray]:
    """Keep the weights whose removal changes the loss most, squared and averaged over mini-batches: `mean_b (g_b w)^2`.

    With one mini-batch it ranks as `snip` does. Where gradients of mini-batches cancel, as at the end of training, it does not.

    Source: Molchanov, Mallya, Tyree, Frosio and Kautz, Importance estimation for neural network pruning, 2019, the first-order
    criterion, on trained networks. Differs: single weights, not neurons; the network does not train while it is averaged.
    """
    return {name: weights[name].astype(np.float64) ** 2 * square for name, square in squared_gradients.items()}
