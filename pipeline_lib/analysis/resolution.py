"""When a spectrum is known well enough for the limits that are read off it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from pipeline_lib.analysis.lanczos import Enough, Tridiagonal
from pipeline_lib.analysis.spectra import Spectrum, f_max, f_max_bounds

FEWEST = 8  # iterations before a spectrum is looked at
_PER_DECADE = 2
_GROWTH = 1.2  # from one look to the next: a look costs eigenvalues of small matrices, and may come a fifth too late

SEMIDEFINITE = ("gauss_newton",)


def lowest_node(found: Spectrum) -> float:
    """Give a node for `f_max_bounds`: 0, or below what rounding has put under it."""
    return min(0.0, *(2 * float(pairs.values[0]) for pairs in found.full))


def places(found: Spectrum, resolution: float) -> list[float]:
    """Place values of c from the largest eigenvalue that was found down to a share of it; none of an operator that is zero."""
    top = max(float(np.abs(pairs.values).max()) for pairs in found.full)
    num = math.ceil(-_PER_DECADE * math.log10(resolution)) + 1
    return [top * share for share in np.geomspace(1, resolution, num).tolist()] if top > 0 else []


def unsettled(found: Spectrum, c: Sequence[float], semidefinite: bool) -> list[float]:
    """Tell how far more iterations of the same probes could move f_max.

    Args:
        found: spectrum.
        c: where, each positive.
        semidefinite: whether the operator has no eigenvalue below 0. Then it is the width of the bracket by Gauss and
            Gauss-Radau quadrature, a bound. Of others nothing bounds it, and it is how much the last half of the iterations
            moved.

    Returns:
        A width for each c, at least 0.
    """
    if semidefinite:
        return [upper - lower for lower, upper in f_max_bounds(found, c, lowest_node(found))]
    return [abs(each.change) for each in f_max(found, c)]


def settled(dim: int, num_probes: int, tolerance: float, resolution: float, semidefinite: bool) -> Enough:
    """Make a rule that stops Lanczos once f_max is settled to a tolerance for every c from a share of the largest eigenvalue on.

    It looks at ever larger numbers of iterations, which do not depend on what was found, so a run that is resumed stops where
    one that was not stopped does.

    Args:
        dim: of the operator.
        num_probes: how many of the starts, the first ones, are random probes.
        tolerance: the largest width that is settled, a share of weights.
        resolution: the smallest c that counts, as a share of the largest eigenvalue.
        semidefinite: see `unsettled`.
    """
    looks = {math.ceil(FEWEST * _GROWTH**i) for i in range(80)}

    def enough(runs: Sequence[Tridiagonal]) -> bool:
        if max(len(run.diagonal) for run in runs[:num_probes]) not in looks:
            return False
        found = Spectrum(dim, runs[:num_probes])
        return all(width <= tolerance for width in unsettled(found, places(found, resolution), semidefinite))

    return enough


def moved(found: Spectrum, before: Spectrum, resolution: float) -> float:
    """Tell how far f_max moved from one spectrum to another of the same space, at most, for every c from that share on."""
    c = places(found, resolution)
    both = zip(f_max(found, c), f_max(before, c), strict=True)
    return max((abs(now.value - then.value) for now, then in both), default=0.0)


Measure = Callable[[int], Spectrum]


def enough_examples(measure: Measure, most: int, tolerance: float, resolution: float) -> int:
    """Double the number of examples, from an eighth of the most on, until f_max moves by no more than a tolerance.

    Args:
        measure: gives the spectrum of the loss on so many examples, from the same probes.
        most: how many there may be.
        tolerance: see `settled`.
        resolution: see `settled`.

    Returns:
        The number at which it stayed, or the most.
    """
    sizes = sorted({max(1, most >> halvings) for halvings in range(4)})
    before = measure(sizes[0])
    for size in sizes[1:]:
        now = measure(size)
        if moved(now, before, resolution) <= tolerance:
            return size
        before = now
    return sizes[-1]
