"""Pruning without data."""

from __future__ import annotations

import numpy as np

from pipeline_lib.pruning.selection import Arrays


def synflow(weights: Arrays, synaptic_flow: Arrays) -> dict[str, np.ndarray]:
    """Keep the weights that pass on most: `|w| dR/d|w|`, with R the sum of the outputs for ones when all weights are absolute.

    Scores have one sum over the weights into a hidden unit and over those out of it, so one sum over each layer: a wide layer's
    are low, and if much is pruned at once it is emptied. Levels by small fractions, each of which scores anew, keep all layers.

    Source: Tanaka, Kunin, Yamins and Ganguli, Pruning neural networks without any data by iteratively conserving synaptic flow,
    2020, on W_0. Differs: one round a level, where the paper has a hundred in all; levels with `at: start` are such rounds.
    """
    return {name: np.abs(weights[name].astype(np.float64)) * flow for name, flow in synaptic_flow.items()}
