"""Resampling of seeds: all resamples with their probabilities where seeds are few, else draws."""

from __future__ import annotations

import math
from collections import Counter
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING

from pipeline_lib.core.rng import numpy_generator

if TYPE_CHECKING:
    import numpy as np

NUM_SAMPLES = 1000
_ENUMERATED = 7  # seeds, of which there are 1,716 different resamples
ENOUGH = 5  # seeds; with three, a bootstrap's "95 %" covers 82 %
RANGE, BOOTSTRAP = "range over seeds", "95 % bootstrap"


def resamples(num: int, *name: str | int) -> tuple[np.ndarray, np.ndarray]:
    """List resamples of so many seeds: all that differ, with their probabilities among the `num ** num`, or draws of many.

    Args:
        num: seeds, at least 1.
        name: of the random draw.

    Returns:
        (resamples, num) numbers of seeds, and (resamples,) probabilities.
    """
    import numpy as np

    if num > _ENUMERATED:
        chosen = numpy_generator("bootstrap", *name).integers(0, num, (NUM_SAMPLES, num))
        return chosen, np.full(NUM_SAMPLES, 1 / NUM_SAMPLES)
    every = list(combinations_with_replacement(range(num), num))
    orders = [math.factorial(num) // math.prod(map(math.factorial, Counter(each).values())) for each in every]
    return np.array(every), np.array(orders) / num**num


def interval(values: np.ndarray, probabilities: np.ndarray, num: int) -> tuple[float, float, str]:
    """Give the ends of an interval and its name: 95 % of resamples, or below five seeds all of them.

    Args:
        values: (resamples,).
        probabilities: (resamples,).
        num: seeds.
    """
    import numpy as np

    order = np.argsort(values)
    reached = np.cumsum(probabilities[order])
    shares = (0.025, 0.975) if num >= ENOUGH else (0.0, 1.0)
    low, high = (values[order][min(int(np.searchsorted(reached, share - 1e-9)), len(order) - 1)] for share in shares)
    return float(low), float(high), BOOTSTRAP if num >= ENOUGH else RANGE
